"""What a fault touched: drives, scenes and versions, from the rows of `gold.drives` (ADR 0043)."""
