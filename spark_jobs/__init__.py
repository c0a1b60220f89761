"""The steps of `process_drive`, one module per job: parse arguments, read, transform, split, write, emit lineage.

`inspect` and `build_scenes` run on Spark; `audit` and `publish` handle metadata only and are plain Python. All of them are
started the same way, `python -m spark_jobs.JOB`, and communicate through the drive's work area in the lake.
"""
