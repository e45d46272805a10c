"""Search: spaces, budgets, and the Optuna loop over them."""
