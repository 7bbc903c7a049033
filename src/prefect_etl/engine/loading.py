"""The rows of a load, as a destination takes them: SQL for the engine, or a stream of Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prefect_etl.core.load import Load
from prefect_etl.core.rows import STREAM

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from prefect_etl.engine.duckdb import Session

# Rows of one Arrow batch.
STREAM_ROWS = 65_536


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
    with session.cursor() as cursor, readable(cursor, load):
        cursor.execute(f"SET arrow_lossless_conversion = {lossless}")
        yield cursor.execute(sql).to_arrow_reader(STREAM_ROWS)
