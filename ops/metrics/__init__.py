"""The metrics exporter: reads the ledger, the queues and the lake in the background, and answers scrapes from the last reading.

Nothing is pushed by jobs: what is true is in the ledger and the tables, and is read from there (ADR 0019).
"""
