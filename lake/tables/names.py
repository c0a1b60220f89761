"""Names of the published tables."""

DATA_TABLES = ("gold.scenes", "gold.frames", "quarantine.records")  # what a drive becomes; gold.drives says that it did
ROW_TABLES = ("gold.drives", "gold.compactions", "gold.recalls")  # appended to by a row or a few a commit, partitioned by vehicle
