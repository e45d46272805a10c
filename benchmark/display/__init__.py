"""Display: what a person sees while runs are under way."""
