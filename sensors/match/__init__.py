"""Which frames belong together: anchors, and the nearest frame of every other sensor."""
