"""Detection rates of the rules: faults of known kind and size, and the findings of the real checks on them."""
