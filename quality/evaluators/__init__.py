"""Rules applied: objects, frames, drives, scenes, signals and calibration."""
