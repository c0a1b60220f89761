"""The `scenelake` command: the local stack, what a person sends through it, and what comes out."""
