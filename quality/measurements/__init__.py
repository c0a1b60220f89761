"""Measurements of frames, sensors and drives, as input of rules and tables."""
