"""The floor: a staging table filled by COPY, and one MERGE. Arguments: Parquet, URI, table, key."""

from __future__ import annotations

import sys

import psycopg
import pyarrow.parquet as pq
from pgpq import ArrowToPostgresBinaryEncoder


def main() -> None:
    source, uri, table, key = sys.argv[1:5]
    file = pq.ParquetFile(source)
    encoder = ArrowToPostgresBinaryEncoder(file.schema_arrow)
    names = file.schema_arrow.names
    columns, values = ", ".join(names), ", ".join(f"s.{name}" for name in names)
    changes = ", ".join(f"{name} = s.{name}" for name in names if name != key)
    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT {columns} FROM {table} LIMIT 0"
        )
        with cursor.copy("COPY stage FROM STDIN (FORMAT binary)") as copy:
            copy.write(encoder.write_header())
            for batch in file.iter_batches(batch_size=65_536):
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())
        cursor.execute("ANALYZE stage")
        cursor.execute(
            f"MERGE INTO {table} t USING stage s ON t.{key} = s.{key} "
            f"WHEN MATCHED THEN UPDATE SET {changes} "
            f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
        )
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"ANALYZE {table}")


if __name__ == "__main__":
    main()
