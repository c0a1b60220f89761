"""A seeded synthetic drive with known truth: scene, ego motion and sensors that all see the same geometry at their own time."""
