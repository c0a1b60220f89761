"""Recordings as bytes: MCAP, ROS 1 and ROS 2 bags, their chunks and compression, indexed without trusting any length field."""
