"""Support: what every package uses and what knows nothing of benchmarks: errors, files, locks, signals."""
