"""Great Expectations: context, suites, checkpoint and Data Docs."""
