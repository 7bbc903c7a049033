"""The engine that moves the data: one DuckDB session a process."""
