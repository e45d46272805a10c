"""Word vectors and sentence modules: found, read, learned, written."""
