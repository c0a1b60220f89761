"""Drives as operators follow them: state, current Airflow step, and the calibration history of a vehicle."""
