"""Whether a drive's calibration is true, measured from the drive's own data.

`sampling` selects the frames to examine. `ground` holds a lidar's points against the ground plane; `lidar_edges`,
`image_edges` and `alignment` hold a camera's images against them; `doppler` holds a radar's range rates against the
vehicle's own motion; `lens` and `changes` examine the calibration alone. Each gives an error with an uncertainty, and
`result` judges it: an error is called only where it is proven, and what could not be measured is never called sound.

An error is declared minus true, as a rotation about the sensor's own axes x forward, y left, z up (of a camera: along its
optical axis, and upright): roll about x, pitch about y (above 0: it looks down), yaw about z.
"""
