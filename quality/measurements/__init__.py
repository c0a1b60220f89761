"""What was measured of a frame, a sensor and a drive, as rules and tables take it."""
