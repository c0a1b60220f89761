"""The accounting identity (promise P1), recomputed for one drive at a time from S3, the ledger and the tables."""
