"""Results that travel: a results file, and predictions made elsewhere."""
