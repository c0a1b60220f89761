"""Datasets in TRI's Dataset Governance Policy format (DDAD), to a drive folder."""
