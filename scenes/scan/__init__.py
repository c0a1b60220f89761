"""One object read whole: its frame index, sensor metrics and motion samples."""
