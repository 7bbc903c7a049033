"""The outside world: one file a system, found by name, imported on use."""
