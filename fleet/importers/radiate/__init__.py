"""RADIATE recordings to a drive folder."""
