"""Public datasets as drive folders: payloads unchanged, stamps exact, and everything odd reported instead of repaired."""
