"""Whole programs that are measured: floors, peers, and ours without Prefect."""
