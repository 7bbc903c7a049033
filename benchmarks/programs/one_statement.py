"""The floor of many files: DuckDB's CREATE TABLE AS over a glob.

Arguments: glob, folder, and ``columns`` to say what the files hold, which saves DuckDB the look at
each of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

COLUMNS = "{id: 'BIGINT', day: 'DATE', amount: 'DOUBLE', name: 'VARCHAR', active: 'BOOLEAN'}"


def main() -> None:
    pattern, folder = sys.argv[1], Path(sys.argv[2])
    connection = duckdb.connect(str(folder / "warehouse.duckdb"), config={"memory_limit": "1GiB"})
    columns = f", columns = {COLUMNS}, header = true" if "columns" in sys.argv[3:] else ""
    connection.execute(f"CREATE TABLE events AS FROM read_csv('{pattern}'{columns})")
    connection.close()


if __name__ == "__main__":
    main()
