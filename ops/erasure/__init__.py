"""Forgetting a drive: what is to be deleted, the steps, the search for what is left, and the certificate (ADR 0044)."""
