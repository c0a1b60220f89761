"""The DynamoDB record of every object and drive: states, leases, runs and decisions."""
