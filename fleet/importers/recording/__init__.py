"""A team's own recording, MCAP or ROS bag, to a drive folder."""
