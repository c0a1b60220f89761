"""Evaluators that apply rules to objects, frames, drives, scenes, signals and calibration."""
