"""How PostgreSQL spells what destinations spell differently, and its transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres.columns import carried
from prefect_etl.core.schema import Column

if TYPE_CHECKING:
    import psycopg

_WITHOUT_EQUALITY = ("JSON", "STRUCT(", "MAP(", "UNION(")
_OF_TIME = ("DATE", "TIMESTAMP")


@dataclass(frozen=True, slots=True)
class PostgresDialect:
    """PostgreSQL's spelling.

    Example:
        >>> PostgresDialect().ordered("s.name", "VARCHAR")
        's.name COLLATE "C"'
    """

    in_place: bool = True

    def place(self, table: str) -> str:
        """The row's place, which holds while nobody else writes to the table."""
        return f"{table}.ctid"

    def same(self, one: str, other: str, kind: str) -> str:
        """As the SQL standard says it; JSON, which cannot be compared, by its text."""
        if any(part in kind for part in _WITHOUT_EQUALITY):
            return f"{one}::text IS NOT DISTINCT FROM {other}::text"
        return f"{one} IS NOT DISTINCT FROM {other}"

    def ordered(self, value: str, kind: str) -> str:
        """Text byte by byte, whatever the database's collation."""
        return f'{value} COLLATE "C"' if kind == "VARCHAR" else value

    def spelled(self, value: str, kind: str) -> str:
        """As text."""
        del kind
        return f"CAST({value} AS text)"

    def parsed(self, text: str, kind: str) -> str:
        """A cast; DuckDB puts the years before Christ in parentheses."""
        if kind.startswith(_OF_TIME):
            text = f"replace({text}, '(BC)', 'BC')"
        return f"CAST({text} AS {carried(Column('cursor', kind), 'the cursor').kind})"


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction, for the statements that all destinations share.

    Attributes:
        connection: In the transaction.
        analysed: A table that is made by one of the statements; a plan of the next ones depends on
            how many rows it has.
    """

    connection: psycopg.Connection[Any]
    analysed: str

    def run(self, sql: str) -> int:
        """Execute a statement; the number of rows that it changed."""
        changed = self.connection.execute(sql.encode()).rowcount
        if sql.startswith(f"CREATE TEMP TABLE {self.analysed} "):
            self.connection.execute(f"ANALYZE {self.analysed}".encode())
        return changed

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """All rows of a query."""
        return self.connection.execute(sql.encode()).fetchall()
