"""How SQLite spells what destinations spell differently, and its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefect_etl.connectors.sqlite.values import ORDERED, PARSED, needs_order
from prefect_etl.core.sql import literal


@dataclass(frozen=True, slots=True)
class SqliteDialect:
    """SQLite's spelling.

    Attributes:
        rowid: A name of the row's number that no column of the table has.

    Example:
        >>> SqliteDialect().same("s.a", "t.a", "BIGINT")
        's.a IS t.a'
    """

    rowid: str = "rowid"
    in_place: bool = True

    def place(self, table: str) -> str:
        """The row's number."""
        return f"{table}.{self.rowid}"

    def same(self, one: str, other: str, kind: str) -> str:
        """``IS``, which older versions know as well."""
        del kind
        return f"{one} IS {other}"

    def ordered(self, value: str, kind: str) -> str:
        """Numbers and times that are text in a form that is in their order."""
        return f"{ORDERED}({value}, {literal(kind)})" if needs_order(kind) else value

    def spelled(self, value: str, kind: str) -> str:
        """As text; all digits of a float."""
        del kind
        return (
            f"CASE typeof({value}) WHEN 'real' THEN printf('%!.17g', {value}) "
            f"ELSE CAST({value} AS TEXT) END"
        )

    def parsed(self, text: str, kind: str) -> str:
        """What is stored of a value."""
        return f"{PARSED}({text}, {literal(kind)})"


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction, for the statements that all destinations share."""

    connection: sqlite3.Connection

    def run(self, sql: str) -> int:
        """Execute a statement; the number of rows that it changed."""
        return self.connection.execute(sql).rowcount

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """All rows of a query."""
        return self.connection.execute(sql).fetchall()
