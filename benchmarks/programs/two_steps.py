"""The floor of a load: plain DuckDB, CSV -> Parquet -> table. Arguments: CSV, folder."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb


def main() -> None:
    source, folder = sys.argv[1], Path(sys.argv[2])
    connection = duckdb.connect(str(folder / "warehouse.duckdb"), config={"memory_limit": "1GiB"})
    parquet = str(folder / "data.parquet")
    connection.execute(f"COPY (FROM read_csv('{source}')) TO '{parquet}' (FORMAT parquet)")
    connection.execute(f"CREATE TABLE lineitem AS FROM read_parquet('{parquet}')")
    connection.close()


if __name__ == "__main__":
    main()
