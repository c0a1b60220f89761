"""Which frames a check of the calibration takes, and the check itself."""
