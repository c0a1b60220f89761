"""Lineage of runs, datasets and code: names of jobs and datasets, OpenLineage events built from plain values, and an emitter
that can neither fail nor stall a job.
"""
