"""What every job shares: arguments, the Spark session, tasks, provenance and how a process ends."""
