"""Whole recordings (MCAP, ROS 1 bag, ROS 2 SQLite bag) as a recorder left them: their files, their topics, their stamps."""
