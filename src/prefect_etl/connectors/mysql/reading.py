"""Rows of MySQL as streams of Arrow.

ConnectorX is fast, and reads a whole result into memory whatever its consumer does. So it gets
tables that are small, and slices of others: ranges of a primary key that is a whole number. All
else is read by pymysql, which gives rows as they are asked for, at about a quarter of that speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.mysql.carrying import Carried
from prefect_etl.connectors.mysql.connection import SESSION, MySqlConnection
from prefect_etl.connectors.mysql.quoting import quoted
from prefect_etl.connectors.mysql.reflecting import Found, rows_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pymysql

# What ConnectorX is to hold at a time, about; there are two slices.
_SLICE_BYTES = 8 * 2**20
# More slices than this many times those of a key without gaps are not worth it.
_GAPS = 8
_BATCH_ROWS = 16_384
# Of pymysql: at most so many rows, and about so many characters and bytes.
_ROWS, _LENGTH, _FETCHED = 65_536, 2**22, 4


def sliced(connection: pymysql.Connection[Any], found: Found, key_within: str) -> list[str] | None:
    """Conditions that divide a table into small slices; None where that cannot be.

    Args:
        connection: An open one.
        found: The table.
        key_within: The condition for the key of the batch; empty where all is read.
    """
    if not found.rows or not found.bytes:
        return None
    if found.number is None:
        return [key_within] if found.bytes <= _SLICE_BYTES else None
    key = quoted(found.number)
    among = f" WHERE {key_within}" if key_within else ""
    ((lowest, highest),) = rows_of(
        connection, f"SELECT min({key}), max({key}) FROM {found.selected}{among}"
    )
    if lowest is None:
        return [f"{key} IS NULL"]
    step = max(_SLICE_BYTES * found.rows // found.bytes, 1)
    count = (highest - lowest) // step + 1
    if count > _GAPS * (found.rows // step + 1):
        return None
    bounds = [*range(lowest, highest + 1, step), highest + 1]
    return [f"{key} >= {start} AND {key} < {end}" for start, end in pairwise(bounds)]


def fast_stream(connection: MySqlConnection, statements: Sequence[str]) -> pa.RecordBatchReader:
    """The rows of several statements, by ConnectorX, one statement read ahead.

    Raises:
        RuntimeError: As ConnectorX does; also from the stream.
    """
    import pyarrow as pa

    first = _opened(connection, statements[0])

    def batches() -> Iterator[pa.RecordBatch]:
        reader = first
        for statement in [*statements[1:], None]:
            ahead = _opened(connection, statement) if statement else None
            for batch in reader:
                yield batch.cast(first.schema) if batch.schema != first.schema else batch
            if ahead is not None:
                reader = ahead

    return pa.RecordBatchReader.from_batches(first.schema, batches())


def _opened(connection: MySqlConnection, statement: str) -> Any:
    import connectorx

    return connectorx.read_sql(
        connection.for_connectorx(),
        statement,
        return_type="arrow_stream",
        batch_size=_BATCH_ROWS,
        pre_execution_query=list(SESSION),
    )


@contextmanager
def plain_stream(
    connection: MySqlConnection, statement: str, columns: Sequence[tuple[str, Carried]]
) -> Iterator[tuple[pa.RecordBatchReader, int]]:
    """The rows of a statement as they come, by pymysql; numbers are text there.

    All are of one moment: the server's transaction began with the statement. With the stream comes
    the number by which the server knows the connection.
    """
    import pyarrow as pa
    from pymysql.cursors import SSCursor

    schema = pa.schema(
        [pa.field(name, pa.binary() if how.binary else pa.string()) for name, how in columns]
    )
    opened: Any = connection.connect(conv={}, cursorclass=SSCursor)
    try:
        thread, cursor = int(opened.thread_id()), opened.cursor()
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute(statement)

        def batches() -> Iterator[pa.RecordBatch]:
            for rows in _portions(cursor):
                arrays = [
                    pa.array(values, field.type)
                    for values, field in zip(zip(*rows, strict=True), schema, strict=True)
                ]
                batch = pa.record_batch(arrays, schema=schema)
                del rows, arrays  # they would wait here until the next ones are there, too
                yield batch

        yield pa.RecordBatchReader.from_batches(schema, batches()), thread
    finally:
        with suppress(Exception):  # the server may have gone, and nothing was written
            _hang_up(opened)


def _hang_up(connection: Any) -> None:
    """Close a connection without reading what is left of its result, as pymysql would."""
    if connection._result is not None:  # noqa: SLF001
        connection._result.unbuffered_active = False  # noqa: SLF001
    connection.close()


def _portions(cursor: Any) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in portions of a size that memory bears, however long some of them are."""
    portion: list[tuple[Any, ...]] = []
    length, wanted = 0, _FETCHED
    while rows := cursor.fetchmany(wanted):
        size = sum(len(value) for row in rows for value in row if value is not None)
        wanted = min(max(_LENGTH * len(rows) // max(size, 1), 1), _FETCHED)
        length += size
        portion += rows
        if length >= _LENGTH or len(portion) >= _ROWS:
            yield portion
            portion, length = [], 0
    if portion:
        yield portion
