"""The floor of many files: DuckDB's CREATE TABLE AS over a glob. Arguments: glob, folder."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb


def main() -> None:
    pattern, folder = sys.argv[1], Path(sys.argv[2])
    connection = duckdb.connect(str(folder / "warehouse.duckdb"), config={"memory_limit": "1GiB"})
    connection.execute(f"CREATE TABLE events AS FROM read_csv('{pattern}')")
    connection.close()


if __name__ == "__main__":
    main()
