"""The sensor core: what recorders wrote, read with bounds, and the arithmetic of time and place on it.

Bytes and arrays in, frozen values out: containers, messages, points and images, clocks, matching, poses and motion
compensation. Nothing here reads a file by name, a network, a clock or the environment. What is wrong with data is a value
or a `sensors.errors.SensorDataError`; a `ValueError` is a mistake of the caller.
"""
