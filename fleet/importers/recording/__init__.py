"""A user's own recording, MCAP or ROS bag, to a drive folder."""
