"""The accounting identity of the lake (P1), recomputed from S3, ledger and tables."""
