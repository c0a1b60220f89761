"""Properties of a sensor's clock, derived from its stamps: offset, drift, steps, units, domains, delay."""
