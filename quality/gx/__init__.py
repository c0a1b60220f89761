"""Great Expectations: context, suites and checkpoints."""
