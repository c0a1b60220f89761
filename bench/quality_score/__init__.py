"""How well the rules find what is wrong: faults of known kind and size against what the real checks say of them."""
