"""Textbench: which text-classification architecture is better, by how much, and at what cost."""

__version__ = "0.1.0"
