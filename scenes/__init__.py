"""Processing of a drive in plain Python, without Spark: scan, plan, build, outcome."""
