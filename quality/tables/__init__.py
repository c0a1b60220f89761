"""The metric tables of a drive that Great Expectations validates, and its results."""
