"""What became of every frame: gold, quarantined or unmatched, and the records that say why."""
