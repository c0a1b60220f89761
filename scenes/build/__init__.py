"""A window of scenes: decode, measure, compensate motion, judge, and write Parquet."""
