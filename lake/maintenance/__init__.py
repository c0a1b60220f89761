"""Upkeep of the published tables. Whatever it does is a commit like any other, or none."""
