"""Versions of the lake: what a tag, a snapshot or a publication denotes in all tables, pins, and the difference of two."""
