"""Drives as operators follow them: where one is now, which Airflow step works on it, how a vehicle's calibration changed."""
