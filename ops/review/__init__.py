"""The review of quarantine, for terminal and browser: the records, the evidence for each, and decisions about them."""
