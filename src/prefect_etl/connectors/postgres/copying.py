"""Rows from the engine into a table: DuckDB reads, pgpq encodes, ``COPY`` writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres.columns import Carried
from prefect_etl.connectors.postgres.connection import INSTALL
from prefect_etl.connectors.postgres.passthrough import BinaryRows
from prefect_etl.core.sql import identifier
from prefect_etl.errors import ConfigError, SchemaError

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa


_PIECE_BYTES = 1 << 18
_ARRIVING = "_etl_arriving"
_IN_TEMP = f"pg_temp.{_ARRIVING}"


@dataclass(frozen=True, slots=True)
class Into:
    """A table that rows are copied into.

    Attributes:
        table: Its name, quoted.
        kinds: The types that its columns have.
        dataset: Named in errors.
        new: It was made in this transaction, and is empty.
    """

    table: str
    kinds: Mapping[str, str]
    dataset: str
    new: bool = False


def travelling(rows: str, columns: Sequence[Carried]) -> str:
    """A SELECT for the engine that gives rows as they travel.

    Example:
        >>> from prefect_etl.connectors.postgres.columns import carried
        >>> from prefect_etl.core.schema import Column
        >>> travelling("SELECT 1 AS id", [carried(Column("id", "INTEGER"), "orders")])
        'SELECT CAST("id" AS INTEGER) AS "id" FROM (SELECT 1 AS id)'
    """
    given = ", ".join(f"{c.expression} AS {identifier(c.name)}" for c in columns)
    return f"SELECT {given} FROM ({rows})"


def copy_batches(
    connection: psycopg.Connection[Any],
    batches: pa.RecordBatchReader | BinaryRows,
    target: str,
    *,
    freeze: bool = False,
) -> int:
    """Copy batches into a table, and say how many rows they were.

    Args:
        connection: In a transaction.
        batches: As :func:`travelling` gives them, without types of DuckDB's own; or bytes of
            another database.
        target: The table, quoted.
        freeze: The table was made in this transaction: no row of it will need a second look
            (https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-PARAMS-FREEZE).
    """
    if isinstance(batches, BinaryRows):
        return batches.copy(connection, target, freeze=freeze)
    try:
        from pgpq import ArrowToPostgresBinaryEncoder
    except ImportError as error:
        raise ConfigError("PostgreSQL needs the package pgpq", hint=INSTALL) from error
    names = ", ".join(identifier(name) for name in batches.schema.names)
    options = "FORMAT binary, FREEZE" if freeze else "FORMAT binary"
    encoder = ArrowToPostgresBinaryEncoder(batches.schema)
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {target} ({names}) FROM STDIN ({options})".encode()) as copy:
            for data in _in_pieces(_encoded(encoder, batches)):
                copy.write(data)
        return cursor.rowcount


def _encoded(encoder: Any, batches: pa.RecordBatchReader) -> Iterator[bytes]:
    yield encoder.write_header()
    for batch in batches:
        yield encoder.write_batch(batch)
    yield encoder.finish()


def _in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Small parts put together, because each write costs; large ones as they are."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def copy_into(
    connection: psycopg.Connection[Any],
    batches: pa.RecordBatchReader | BinaryRows,
    columns: Sequence[Carried],
    into: Into,
) -> int:
    """Copy batches into a table whose types may be others, and say how many rows they were.

    Raises:
        SchemaError: A value would change in the table's type.
    """
    if all(column.direct and into.kinds[column.name] == column.kind for column in columns):
        return copy_batches(connection, batches, into.table, freeze=into.new)
    given = ", ".join(f"{identifier(column.name)} {column.wire}" for column in columns)
    connection.execute(f"CREATE TEMP TABLE {_ARRIVING} ({given}) ON COMMIT DROP".encode())
    copy_batches(connection, batches, _IN_TEMP)
    values = ", ".join(
        fitted(connection, _IN_TEMP, column, into.kinds[column.name], into.dataset)
        for column in columns
    )
    names = ", ".join(identifier(column.name) for column in columns)
    copied = connection.execute(
        f"INSERT INTO {into.table} ({names}) SELECT {values} FROM {_IN_TEMP}".encode()
    ).rowcount
    connection.execute(f"DROP TABLE {_IN_TEMP}".encode())
    return copied


def fitted(
    connection: psycopg.Connection[Any], table: str, column: Carried, kind: str, dataset: str
) -> str:
    """SQL that makes of a value that arrived one of the type that a table's column has.

    Raises:
        SchemaError: A value would change.
    """
    value = identifier(column.name)
    mine = value if column.direct else f"CAST({value} AS {column.kind})"
    # Whoever made a column jsonb wants what that keeps of a text.
    if kind == column.kind or (column.kind, kind) == ("json", "jsonb"):
        return mine
    theirs = f"CAST({mine} AS {kind})"
    back = f"CAST(CAST({theirs} AS {column.kind}) AS text)"
    row = connection.execute(
        f"SELECT CAST({value} AS text) FROM {table} "
        f"WHERE {back} IS DISTINCT FROM CAST({mine} AS text) LIMIT 1".encode()
    ).fetchone()
    if row is not None:
        raise SchemaError(
            f"{dataset}: the table's column {column.name} is {kind}, and the value {row[0]} would "
            "change in it",
            hint="Change the table's column, or pin the type with types: {column: type}.",
        )
    return theirs
