"""Argoverse 2 sensor logs to a drive folder."""
