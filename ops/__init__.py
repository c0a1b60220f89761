"""What operators use: audit, metrics, quarantine review, reports, the local stack and sync analysis."""
