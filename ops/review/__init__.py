"""The review of quarantine: what there is, what shows why, and what is decided about it, for terminal and browser alike."""
