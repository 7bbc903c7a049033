"""The floor: MySQL -> DuckDB by ConnectorX. Arguments: URI, table, file."""

from __future__ import annotations

import sys

import connectorx
import duckdb


def main() -> None:
    uri, table, file = sys.argv[1:4]
    rows = connectorx.read_sql(uri, f"SELECT * FROM {table}", return_type="arrow")  # noqa: F841
    database = duckdb.connect(file)
    database.execute("SET preserve_insertion_order = false")
    database.execute("CREATE TABLE orders AS SELECT * FROM rows")
    database.close()


if __name__ == "__main__":
    main()
