"""Data: sources become fixed parts, fixed parts become cached views."""
