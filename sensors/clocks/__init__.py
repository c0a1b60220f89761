"""What a sensor's stamps say about its clock: offset, drift, steps, units, domains, delay."""
