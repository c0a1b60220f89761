"""What a drive becomes, in plain Python without Spark: scan, plan, build, outcome."""
