"""What planning asks of a table or query of a DuckDB file."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.relational import CursorKind, DatabaseDataset, Ranges, cursor_kind
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import is_integer
from prefect_etl.errors import SourceReadError

if TYPE_CHECKING:
    import duckdb


class DuckDBProbe:
    """Answers what planning asks, from a table or query of an attached file.

    Args:
        cursor: With the file in use.
        dataset: Whose rows they are.
        selected: The table or query as it stands behind FROM.
    """

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, dataset: DatabaseDataset, selected: str
    ) -> None:
        self._cursor = cursor
        self._dataset = dataset
        self.selected = selected
        described = cursor.execute(f"DESCRIBE SELECT * FROM {selected}").fetchall()
        self._types = {str(name): str(kind) for name, kind, *_ in described}

    @property
    def columns(self) -> str:
        """What has to be read of each row."""
        return ", ".join(map(identifier, self._dataset.wanted_columns(self._types)))

    @property
    def keys(self) -> str:
        """The columns of the key."""
        only = self._dataset.of_key(self._types)
        return ", ".join(map(identifier, only.wanted_columns(self._types)))

    @property
    def cursor_column(self) -> tuple[str, str]:
        """The cursor's name and type in the file."""
        name = self._dataset.cursor_in(self._types)
        return name, self._types[name]

    @property
    def cursor(self) -> CursorKind:
        """What kind of values the cursor has."""
        kind = self.cursor_column[1]
        return cursor_kind(self._dataset, _kind_of(kind), kind)

    def highest(self) -> str | None:
        """The highest cursor."""
        column, kind = self.cursor_column
        highest = f"max({identifier(column)})"
        finite = f"isfinite({highest})" if _kind_of(kind) in ("timestamp", "date") else "TRUE"
        found, ends = self._one(f"CAST({highest} AS VARCHAR), {finite} FROM {self.selected}")
        if found is not None and not ends:
            raise SourceReadError(
                f"{self._dataset.name}: cursor: column {column} has the value {found}, "
                "after which nothing comes",
                hint="Leave such rows out with filter:.",
            )
        return None if found is None else str(found)

    def is_higher(self, one: str, other: str) -> bool:
        """Whether the first bound is above the other."""
        _, kind = self.cursor_column
        return bool(self._one(f"{typed(one, kind)} > {typed(other, kind)}")[0])

    def earlier(self, bound: str, lag: timedelta | int) -> str:
        """A bound, less a lag."""
        _, kind = self.cursor_column
        less = literal(lag)
        if isinstance(lag, timedelta):
            less = f"to_seconds({lag.days * 86_400 + lag.seconds})"
        found = self._one(f"CAST(CAST({typed(bound, kind)} - {less} AS {kind}) AS VARCHAR)")
        return str(found[0])

    def count(self, lower: str, upper: str) -> int:
        """How many rows have a cursor between two bounds, both within."""
        column, kind = self.cursor_column
        window = f"{typed(lower, kind)} AND {typed(upper, kind)}"
        counted = f"count(*) FROM {self.selected} WHERE {identifier(column)} BETWEEN {window}"
        return int(self._one(counted)[0])

    def ranges(self, chunk_rows: int) -> Ranges | None:
        """One piece: the engine copies its own files faster than anything could divide them."""
        del chunk_rows
        return None

    def _one(self, sql: str) -> tuple[Any, ...]:
        import duckdb

        try:
            return self._cursor.execute(f"SELECT {sql}").fetchone() or ()
        except duckdb.ConversionException as error:
            said = str(error).splitlines()[0]
            raise SourceReadError(f"{self._dataset.name}: cursor: {said}") from error


def typed(bound: str, kind: str) -> str:
    """A bound as a value of a type.

    Example:
        >>> typed("2024-01-01", "DATE")
        "CAST('2024-01-01' AS DATE)"
    """
    return f"CAST({literal(bound)} AS {kind})"


def _kind_of(kind: str) -> CursorKind | None:
    if kind.startswith("TIMESTAMP"):
        return "timestamp"
    if is_integer(kind):
        return "integer"
    if kind.startswith("DECIMAL"):
        return "decimal"
    known: dict[str, CursorKind] = {"DATE": "date", "VARCHAR": "text"}
    return known.get(kind)
