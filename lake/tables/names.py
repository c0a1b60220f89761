"""Names of the published tables."""

DATA_TABLES = ("gold.scenes", "gold.frames", "quarantine.records")  # what a drive becomes; gold.drives says that it did
