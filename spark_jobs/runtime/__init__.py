"""Code that all jobs share: arguments, the Spark session, tasks, provenance, and the exit of the process."""
