"""The calibration check: choice of its frames, and the check itself."""
