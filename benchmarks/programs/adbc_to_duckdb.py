"""The floor: PostgreSQL -> DuckDB by an ADBC stream, decimals cast. Arguments: URI, table, file."""

from __future__ import annotations

import sys

import duckdb
from adbc_driver_postgresql import dbapi

_DECIMALS = {"o_totalprice": "DECIMAL(15,2)"}


def main() -> None:
    uri, table, file = sys.argv[1:4]
    chosen = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in _DECIMALS.items())
    with dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        stream = cursor.fetch_record_batch()  # noqa: F841 - DuckDB finds it by name
        database = duckdb.connect(file)
        database.execute("SET preserve_insertion_order = false")
        database.execute(f"CREATE TABLE orders AS SELECT * REPLACE ({chosen}) FROM stream")
        database.close()


if __name__ == "__main__":
    main()
