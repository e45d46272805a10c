"""Plans: configuration and search space in, run specs and their cost out."""
