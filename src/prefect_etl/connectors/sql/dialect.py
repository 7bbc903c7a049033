"""The few things that destinations spell differently in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Dialect(Protocol):
    """How a destination spells what differs.

    Types are DuckDB's names of them, as in :class:`~prefect_etl.core.schema.Column`.

    """

    @property
    def in_place(self) -> bool:
        """Whether rows are overwritten by UPDATE; else they are deleted and inserted again."""
        ...

    def place(self, table: str) -> str:
        """Where a row is (``rowid``, ``ctid``); never null of a row that is there.

        Args:
            table: The table's alias in the statement.
        """
        ...

    def same(self, one: str, other: str, kind: str) -> str:
        """Whether two values of a type are equal; nulls are."""
        ...

    def ordered(self, value: str, kind: str) -> str:
        """A cursor as it is compared by ``<``: text byte by byte."""
        ...

    def spelled(self, value: str, kind: str) -> str:
        """A value as text that :meth:`parsed` takes back to the same value."""
        ...

    def parsed(self, text: str, kind: str) -> str:
        """A value from its text, in DuckDB's spelling or that of :meth:`spelled`."""
        ...


class Statements(Protocol):
    """An open transaction of a destination."""

    def run(self, sql: str) -> int:
        """Execute a statement; the number of rows that it changed."""
        ...

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """All rows of a query."""
        ...


@dataclass(frozen=True, slots=True)
class DuckDBDialect:
    """DuckDB's own spelling.

    Example:
        >>> DuckDBDialect().same("s.a", "t.a", "BIGINT")
        's.a IS NOT DISTINCT FROM t.a'
    """

    in_place: bool = False

    def place(self, table: str) -> str:
        """DuckDB's row id, which holds within a transaction."""
        return f"{table}.rowid"

    def same(self, one: str, other: str, kind: str) -> str:
        """As the SQL standard says it."""
        del kind
        return f"{one} IS NOT DISTINCT FROM {other}"

    def ordered(self, value: str, kind: str) -> str:
        """As it is: DuckDB compares text byte by byte."""
        del kind
        return value

    def spelled(self, value: str, kind: str) -> str:
        """Text, from which DuckDB makes the same value again."""
        del kind
        return f"CAST({value} AS VARCHAR)"

    def parsed(self, text: str, kind: str) -> str:
        """A cast."""
        return f"CAST({text} AS {kind})"
