"""What a rule is: the catalogue, a rig's settings of it, and the findings that it leaves."""
