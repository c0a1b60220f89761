"""Rules: the catalogue, a rig's overrides of it, and findings."""
