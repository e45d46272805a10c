"""Textbench: which text-classification architecture is better, by how much, and at what cost."""

from benchmark.support.old_paths import answer_to_old_paths

__version__ = "0.1.0"

answer_to_old_paths()
