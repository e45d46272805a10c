"""Models that leave: what MLflow serves, stored models by name, and exports."""
