"""The rows of a load, as a destination takes them: SQL for the engine, or a stream of Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefect_etl.core.load import Load
from prefect_etl.core.rows import STREAM
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.sql import identifier

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from prefect_etl.engine.duckdb import Session

# Rows of one Arrow batch at most, and what they may take: DuckDB makes each of so many rows as it
# is told, however wide they are.
STREAM_ROWS = 65_536
ROWS_OF_TEXT = 256
_BATCH_BYTES = 16 << 20
# So few fit in a batch where a row has 256 KiB and more.
_ROWS_OF_WIDE = 64
_LOOKED_AT = 64
_WIDE = ("VARCHAR", "BLOB", "JSON", "BIT", "BIGNUM", "STRUCT(", "MAP(", "UNION(")
# Operators of DuckDB's plans that give nothing before they have seen everything.
_TAKE_ALL = ("GROUP_BY", "AGGREGATE", "WINDOW", "ORDER_BY", "TOP_N", "JOIN", "DISTINCT", "CTE")


@contextmanager
def readable(cursor: duckdb.DuckDBPyConnection, load: Load) -> Iterator[None]:
    """Make ``load.rows`` work on a cursor, for as long as the context is open.

    A load without raw zone has its rows as a stream, which can be read once.
    """
    if load.stream is None:
        yield
        return
    import pyarrow as pa

    given: Any = load.stream.stream
    reader = given
    if not isinstance(given, pa.RecordBatchReader):
        reader = pa.RecordBatchReader.from_stream(given)
    cursor.register(STREAM, reader)
    try:
        yield
    finally:
        cursor.unregister(STREAM)


@contextmanager
def arrow_rows(
    session: Session, load: Load, sql: str, *, lossless: bool = True
) -> Iterator[pa.RecordBatchReader]:
    """A SELECT over the rows of a load as a stream of Arrow.

    Args:
        session: The engine.
        load: Whose rows.
        sql: The SELECT; usually ``load.rows`` with casts around.
        lossless: Give types that Arrow does not know as its extension types, instead of others.
    """
    load, width = _peeked(load)
    if width is None:
        with session.cursor() as cursor:
            rows = batch_rows(cursor, load.rows, load.evolution.schema)
    else:
        rows = _rows_of(width)
    # Of rows as wide as this each thread holds many megabytes.
    apart = rows < _ROWS_OF_WIDE and _stands_alone(load)
    with session.frugal() if apart else session.cursor() as cursor, readable(cursor, load):
        yield batches(cursor, sql, rows, lossless=lossless)


def _stands_alone(load: Load) -> bool:
    """Whether the rows are files of the raw zone, or a stream: nothing that is attached."""
    return bool(load.batches) or load.stream is not None


def batches(
    cursor: duckdb.DuckDBPyConnection, sql: str, rows: int, *, lossless: bool = True
) -> pa.RecordBatchReader:
    """A SELECT as a stream of Arrow.

    Args:
        cursor: Where it is executed.
        sql: The SELECT.
        rows: Of one batch, as :func:`batch_rows` says.
        lossless: As of :func:`arrow_rows`.
    """
    cursor.execute(f"SET arrow_lossless_conversion = {lossless}")
    if rows < ROWS_OF_TEXT:
        # What waits to be fetched is measured without its texts: at a megabyte, it would be all.
        cursor.execute("SET streaming_buffer_size = '1 byte'")
    return cursor.execute(sql).to_arrow_reader(rows)


def batch_rows(cursor: duckdb.DuckDBPyConnection, rows: str, schema: TableSchema) -> int:
    """How many rows an Arrow batch may have, by the look of the first ones.

    Args:
        cursor: Where the rows can be read, more than once.
        rows: A SELECT.
        schema: Its columns, or those of them that may be wide.
    """
    import duckdb

    widths = [_width(column) for column in schema if _may_be_wide(column)]
    if not widths:
        return STREAM_ROWS
    if _takes_all(cursor, rows):
        return ROWS_OF_TEXT
    widest = f"SELECT {' + '.join(widths)} AS width FROM ({rows}) LIMIT {_LOOKED_AT}"
    try:
        row = cursor.execute(f"SELECT max(width) FROM ({widest})").fetchone()
    except duckdb.OutOfMemoryException:
        return 1
    return _rows_of(row[0] or 0 if row else 0)


def _takes_all(cursor: duckdb.DuckDBPyConnection, rows: str) -> bool:
    """Whether the first rows of a SELECT cost as much as all of them."""
    plan = str(cursor.execute(f"EXPLAIN {rows}").fetchall())
    return any(operator in plan for operator in _TAKE_ALL)


def _rows_of(width: float) -> int:
    return max(1, min(ROWS_OF_TEXT, int(_BATCH_BYTES / (width + 1))))


def _may_be_wide(column: Column) -> bool:
    return column.type.startswith(_WIDE) or column.type.endswith("]")


def _width(column: Column) -> str:
    name = identifier(column.name)
    size = f"octet_length({name})" if column.type == "BLOB" else f"strlen(CAST({name} AS VARCHAR))"
    return f"coalesce({size}, 0)"


def _peeked(load: Load) -> tuple[Load, float | None]:
    """A load whose stream can still be read from the beginning, and how wide its rows look."""
    if load.stream is None:
        return load, None
    import pyarrow as pa

    from prefect_etl.engine.arrow import looked_at

    width, again = looked_at(pa.RecordBatchReader.from_stream(load.stream.stream))
    return replace(load, stream=replace(load.stream, stream=again)), width
