"""Waiting for a state, never for a moment."""

import time


def until(state, seconds=120):
    """Wait until ``state()`` is true; fail after `seconds`."""
    give_up = time.monotonic() + seconds
    while not state():
        assert time.monotonic() < give_up, f"not within {seconds} seconds"
        time.sleep(0.05)
