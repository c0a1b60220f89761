"""Poses over time, and points moved to one moment by them."""
