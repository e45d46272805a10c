"""Specs: frozen configuration, what a run is and what comes out of it."""
