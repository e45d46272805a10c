"""What this machine has and lacks: one small function a check, listed in `run`."""
