"""The `scenelake` command line."""
