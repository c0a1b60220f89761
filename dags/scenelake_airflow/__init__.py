"""The parts of `process_drive`, `replay_quarantine` and `maintain_lake`: the doorbell trigger, the job operator, the steps.

Airflow's triggerer imports this package, so `dags/` is on the `PYTHONPATH` of every Airflow component. Nothing here decodes,
reads tables or starts Spark: jobs are processes of their own.
"""
