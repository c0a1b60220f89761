"""What `process_drive` is wired from: the doorbell trigger, the job operator, and the lease steps.

Airflow's triggerer imports this package, so `dags/` is on the `PYTHONPATH` of every Airflow component. Nothing here decodes,
reads tables or starts Spark: jobs are processes of their own.
"""
