"""The lake: names and documents of the landing contract, table schemas, bulk access to objects, and the one commit per drive."""
