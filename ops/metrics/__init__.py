"""The metrics exporter: reads ledger, queues and lake in the background, and answers scrapes from the last reading.

Jobs push nothing: the ledger and the tables are the source of truth, and metrics are read from them (ADR 0019).
"""
