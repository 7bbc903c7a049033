"""Tables of wide rows, a few rows at a time.

DuckDB reads 2,048 rows at once, however wide they are; by their numbers it reads those it is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.engine.loading import ROWS_OF_TEXT, batch_rows, batches

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# Rows whose width is looked at.
_LOOKED_AT = 8


def rows_at_once(cursor: duckdb.DuckDBPyConnection, table: str, columns: str) -> int | None:
    """How many rows of a table are to be read at once; None: as many as DuckDB likes.

    Args:
        cursor: Of the database.
        table: As it stands behind FROM; nothing but a table has numbers of rows.
        columns: What is read of it, as SQL.
    """
    import duckdb

    first = f"SELECT {columns} FROM {table} WHERE rowid < {_LOOKED_AT}"
    try:
        described = cursor.execute(f"DESCRIBE {first}").fetchall()
    except duckdb.BinderException:
        return None
    schema = TableSchema(tuple(Column(name, kind) for name, kind, *_ in described))
    rows = batch_rows(cursor, first, schema)
    return rows if rows < ROWS_OF_TEXT else None


def slices(
    cursor: duckdb.DuckDBPyConnection, table: str, columns: str, condition: str | None, rows: int
) -> pa.RecordBatchReader:
    """The rows of a table as a stream.

    Args:
        cursor: Of the database; nobody else uses it meanwhile.
        table: As of :func:`rows_at_once`.
        columns: What is read of it, as SQL.
        condition: Which rows.
        rows: How many at once.
    """
    import pyarrow as pa

    ((last,),) = cursor.execute(f"SELECT coalesce(max(rowid), -1) FROM {table}").fetchall()
    chosen = f"SELECT {columns} FROM {table} WHERE " + (f"({condition}) AND " if condition else "")

    def read(start: int) -> pa.RecordBatchReader:
        within = f"rowid >= {start} AND rowid < {start + rows}"
        return batches(cursor, chosen + within, rows)

    def sliced() -> Iterator[pa.RecordBatch]:
        for start in range(0, last + 1, rows):
            yield from read(start)

    return pa.RecordBatchReader.from_batches(read(last + 1).schema, sliced())
