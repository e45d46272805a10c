"""Pure functions of arrays: intervals, tests and verdicts."""
