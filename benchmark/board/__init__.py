"""The board as a value: rows, comparisons and ranks, and how they are read from MLflow."""
