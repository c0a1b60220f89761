"""Names of the published tables."""

SCENES_TABLE, FRAMES_TABLE, RECORDS_TABLE = "gold.scenes", "gold.frames", "quarantine.records"
DATA_TABLES = (SCENES_TABLE, FRAMES_TABLE, RECORDS_TABLE)  # what a drive becomes; gold.drives says that it did
ROW_TABLES = ("gold.drives", "gold.compactions", "gold.recalls")  # appended to by a row or a few a commit, partitioned by vehicle
