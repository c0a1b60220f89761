"""Full scan of an object: its frame index, sensor metrics and motion samples."""
