"""Messages to arrays: CDR and ROS 1 bodies, point clouds, images, camera models, transforms."""
