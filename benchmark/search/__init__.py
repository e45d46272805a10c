"""Search: the Optuna study, its samplers and its storage."""
