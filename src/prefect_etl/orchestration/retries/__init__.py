"""Retries of tasks and flows: what Prefect does of them, and what happens beside it."""
