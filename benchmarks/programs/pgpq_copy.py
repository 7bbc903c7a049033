"""The floor: Parquet -> PostgreSQL by pgpq and COPY, nothing else. Arguments: Parquet, URI, table.

The table is there and empty. ``empty`` instead of the file: all of it but the rows.
"""

from __future__ import annotations

import sys

import psycopg
import pyarrow.parquet as pq
from pgpq import ArrowToPostgresBinaryEncoder


def main() -> None:
    source, uri, table = sys.argv[1:4]
    file = pq.ParquetFile(source)
    encoder = ArrowToPostgresBinaryEncoder(file.schema_arrow)
    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {table}")
        with cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.write(encoder.write_header())
            for batch in file.iter_batches(batch_size=65_536):
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())


if __name__ == "__main__":
    main()
