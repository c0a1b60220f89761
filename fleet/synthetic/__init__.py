"""A seeded synthetic drive with ground truth: scene, ego motion, and sensors that observe one geometry at their own times."""
