"""Public datasets as drive folders: payloads unchanged, stamps exact, anomalies reported instead of repaired."""
