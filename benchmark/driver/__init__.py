"""Driver: one sweep from its plan to its totals."""
