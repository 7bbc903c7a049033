"""Subflows: where data goes by its size, what a child flow run is, and what it costs."""
