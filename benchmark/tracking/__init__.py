"""Tracking: the only MLflow writer and reader, and the names they use."""
