"""Execution: run specs in, results out, on this process or others."""
