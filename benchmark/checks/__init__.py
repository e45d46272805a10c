"""What `doctor` checks: each check asks the code that a sweep uses, and changes nothing."""
