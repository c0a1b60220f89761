"""Maintenance of a deployment: its buckets and its ledger behind the ports of `lake.maintenance`."""
