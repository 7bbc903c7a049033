"""Rows from one PostgreSQL database to another, as the bytes that both understand.

Both ends speak ``COPY … (FORMAT binary)``, so nothing is decoded between them. That is right only
for types that mean the same in every database, and where the table's columns have the types of the
source's; else rows go the ordinary way, through the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from select import select
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres.carrying import PgType
from prefect_etl.connectors.postgres.columns import Carried
from prefect_etl.connectors.postgres.connection import PostgresConnection, translated
from prefect_etl.core.load import Load
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Batch
from prefect_etl.errors import AccountingError

if TYPE_CHECKING:
    import psycopg

    from prefect_etl.connectors.postgres.source import PostgresSource
    from prefect_etl.engine.duckdb import Session

# Small enough that the one server reads while the other sends (measured: 16 to 64 KB).
_CHUNK = 32 << 10
_TOLD_EVERY = 100_000
# Types whose binary form depends on nothing but the value.
_SAME_EVERYWHERE = re.compile(
    r"bool|int[248]|float[48]|numeric|text|varchar|bpchar|char|name|bytea|uuid|jsonb?|jsonpath"
    r"|date|time(tz)?|timestamp(tz)?|interval|bit|varbit|inet|cidr|macaddr8?|tsvector|tsquery"
    r"|point|line|lseg|box|path|polygon|circle|(int[48]|num|ts|tstz|date)(multi)?range"
    r"|oid|xid8?|pg_lsn"
)


@dataclass(frozen=True, slots=True)
class BinaryRows:
    """Rows of a query, not read yet.

    Attributes:
        source: The database that has them.
        sql: The query.
        columns: Names, and types as the server spells them.
        session: The engine, whose interrupt stops the query.
        what: Named in errors.
        arrived: Told how many more rows came.
    """

    source: PostgresConnection
    sql: str
    columns: tuple[Carried, ...]
    session: Session
    what: str
    arrived: Callable[[int], None]

    def copy(self, connection: psycopg.Connection[Any], target: str, *, freeze: bool) -> int:
        """Copy them into a table of another database, and say how many they were.

        Args:
            connection: Of that database, in a transaction.
            target: The table, quoted; its columns have the types of these.
            freeze: As for ``COPY``.

        Raises:
            AccountingError: The two servers count other rows.
            EtlError: The source does not answer, refuses, or fails.
        """
        names = ", ".join(identifier(column.name) for column in self.columns)
        options = "FORMAT binary, FREEZE" if freeze else "FORMAT binary"
        reader = self.source.connect()
        try:
            with self.session.stopping(reader.cancel), translated(self.what):
                reader.execute("SET default_transaction_read_only = on")
                _begin(reader, f"COPY ({self.sql}) TO STDOUT (FORMAT binary)")
                _begin(connection, f"COPY {target} ({names}) FROM STDIN ({options})")
                told = self._pass_on(reader, connection)
                sent = _ended(reader)
                connection.pgconn.put_copy_end()
                written = _ended(connection)
        finally:
            reader.close()
        if sent != written:
            raise AccountingError(f"{self.what}: {sent} rows were sent and {written} arrived")
        self.arrived(sent - told)
        return written

    def _pass_on(self, reader: psycopg.Connection[Any], writer: psycopg.Connection[Any]) -> int:
        """Read rows and write chunks, in one thread: neither waits while the other can go on.

        Returns:
            How many rows were told of.
        """
        source, target = reader.pgconn, writer.pgconn
        parts: list[Any] = []
        size = rows = told = 0
        unsent = False
        while (message := source.get_copy_data(1))[0] >= 0:
            length, data = message
            if length == 0:
                both = (source.socket, target.socket)
                readable, writable, _ = select(both, [target.socket] * unsent, [])
                if writable:
                    unsent = target.flush() == 1
                if source.socket in readable:
                    source.consume_input()
                if target.socket in readable:  # it has nothing to say but that it hangs up
                    target.consume_input()
                continue
            parts.append(data)
            size += length
            rows += 1
            if size >= _CHUNK:
                _put(writer, b"".join(parts))
                unsent, size = target.flush() == 1, 0
                parts.clear()
                if rows - told >= _TOLD_EVERY:
                    self.arrived(rows - told)
                    told = rows
        _put(writer, b"".join(parts))
        return told


def _put(writer: psycopg.Connection[Any], chunk: bytes) -> None:
    connection = writer.pgconn
    while connection.put_copy_data(chunk) == 0:  # all that may wait does
        select([], [connection.socket], [])
        connection.flush()


def _begin(connection: psycopg.Connection[Any], sql: str) -> None:
    """Send a statement, and wait until it takes or gives rows."""
    from psycopg.pq import ExecStatus

    connection.pgconn.send_query(sql.encode())
    result = _answer(connection)
    if result.status not in (ExecStatus.COPY_IN, ExecStatus.COPY_OUT):
        raise _error(connection, result)


def _ended(connection: psycopg.Connection[Any]) -> int:
    """Wait for the end of a statement, and say how many rows it had."""
    from psycopg.pq import ExecStatus

    result = _answer(connection)
    if result.status != ExecStatus.COMMAND_OK:
        raise _error(connection, result)
    rows = int(result.command_tuples or 0)
    while connection.pgconn.get_result() is not None:
        pass
    return rows


def _answer(connection: psycopg.Connection[Any]) -> Any:
    import psycopg

    libpq = connection.pgconn
    while libpq.flush():
        select([libpq.socket], [libpq.socket], [])
        libpq.consume_input()
    while libpq.is_busy():
        select([libpq.socket], [], [])
        libpq.consume_input()
    result = libpq.get_result()
    if result is None:
        raise psycopg.OperationalError("the server gave no answer")
    return result


def _error(connection: psycopg.Connection[Any], result: Any) -> psycopg.Error:
    from psycopg.errors import error_from_result

    while connection.pgconn.get_result() is not None:
        pass
    return error_from_result(result, encoding="utf-8")


def straight_rows(load: Load) -> BinaryRows | None:
    """The rows of a load that come from another database as they are; None where they do not."""
    rows = load.stream.stream if load.stream is not None else None
    return rows if isinstance(rows, BinaryRows) else None


def straight(
    source: PostgresSource,
    batch: Batch,
    session: Session,
    what: str,
    arrived: Callable[[int], None],
) -> BinaryRows | str:
    """The rows of a batch for another database; or why they cannot go as they are.

    Raises:
        EtlError: The source cannot be asked.
    """
    sql, types = source.statement(batch)
    for name, kind in types:
        inner = kind.element or kind
        if not inner.builtin or not _SAME_EVERYWHERE.fullmatch(inner.name):
            return f"column {name} is of type {inner.name}, which another database may not have"
    with translated(what), source.connection.connect() as connection:
        kinds = _kinds(connection, [kind for _, kind in types])
    columns = tuple(
        Carried(name, kind, identifier(name), kind)
        for (name, _), kind in zip(types, kinds, strict=True)
    )
    return BinaryRows(source.connection, sql, columns, session, what, arrived)


def _kinds(connection: psycopg.Connection[Any], types: Sequence[PgType]) -> list[str]:
    """The types as the server spells them."""
    spelled = ", ".join(
        f"format_type({literal(f'pg_catalog.{identifier(t.name)}')}::regtype, {t.modifier})"
        for t in types
    )
    row = connection.execute(f"SELECT {spelled}".encode()).fetchone()
    return [str(kind) for kind in row or ()]
