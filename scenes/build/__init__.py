"""Building a window: the frames of its scenes, fetched, decoded, measured and judged."""
