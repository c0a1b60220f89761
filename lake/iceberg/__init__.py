"""Iceberg as far as it is more than pyiceberg: catalogs that commit several tables at once, and what such a commit consists of.
It knows none of our tables."""
