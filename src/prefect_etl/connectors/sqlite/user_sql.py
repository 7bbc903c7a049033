"""SQL of a dataset's user that runs within a load: ``before`` and ``after``.

It may change tables as it likes, in the load's transaction. It may not end that transaction, change
settings of the connection, or reach for other files. SQLite itself is asked, by its authorizer
(https://www.sqlite.org/c3ref/set_authorizer.html).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from prefect_etl.connectors.sqlite.faults import is_interrupt
from prefect_etl.errors import ConfigError

_FORBIDDEN = frozenset(
    (
        *(sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT, sqlite3.SQLITE_PRAGMA),
        *(sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH),
    )
)


def run_user_sql(connection: sqlite3.Connection, statements: Sequence[str], what: str) -> None:
    """Run statements in the open transaction.

    Args:
        connection: In a transaction on the destination.
        statements: As the user wrote them; each may be several.
        what: Whose they are, for the error.

    Raises:
        ConfigError: One is not allowed, or fails.
    """
    if not statements:
        return
    connection.set_authorizer(_authorized)
    try:
        for text in statements:
            for sql in _each(text):
                _run(connection, sql, what)
    finally:
        connection.set_authorizer(None)


def _authorized(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_DENY if action in _FORBIDDEN else sqlite3.SQLITE_OK


def _run(connection: sqlite3.Connection, sql: str, what: str) -> None:
    try:
        connection.execute(sql).fetchall()
    except sqlite3.Error as error:
        if is_interrupt(error):
            raise
        hint = "Nothing was published."
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_AUTH:
            hint = "before and after change tables; they run in the load's own transaction."
        raise ConfigError(f"{what}: {sql.strip()!r} failed: {error}", hint=hint) from error


def _each(text: str) -> Iterator[str]:
    """The statements of a text; SQLite says where one ends."""
    sql = ""
    for part in text.split(";"):
        sql += f"{part};"
        if sqlite3.complete_statement(sql):
            if sql.strip(" \t\r\n;"):
                yield sql
            sql = ""
    if sql.strip(" \t\r\n;"):
        yield sql
