"""Serving: models that leave, with the text processing that they need."""
