"""Data: sources become fixed splits, fixed splits become cached views."""
