"""The DynamoDB ledger: every object and drive, their states, runs and decisions."""
