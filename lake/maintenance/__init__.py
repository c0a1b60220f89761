"""What keeps the tables small and fast without changing what they say."""
