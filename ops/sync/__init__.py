"""Whether the sensors of a recording are in sync, offline."""
