"""What planning asks a PostgreSQL table or query: its cursor, and where to divide it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres.connection import translated
from prefect_etl.connectors.postgres.reflecting import Found
from prefect_etl.connectors.relational import CursorKind, DatabaseDataset, Ranges, cursor_kind
from prefect_etl.core.sql import identifier, literal
from prefect_etl.errors import SourceReadError

if TYPE_CHECKING:
    import psycopg

_KINDS: dict[str, tuple[CursorKind, str]] = {
    "timestamp": ("timestamp", "timestamp"),
    "timestamptz": ("timestamp", "timestamptz"),
    "date": ("date", "date"),
    "int2": ("integer", "int8"),
    "int4": ("integer", "int8"),
    "int8": ("integer", "int8"),
    "oid": ("integer", "int8"),
    "numeric": ("decimal", "numeric"),
    "text": ("text", "text"),
    "varchar": ("text", "text"),
    "bpchar": ("text", "text"),
    "name": ("text", "text"),
}
_WHOLE = frozenset(("int2", "int4", "int8"))
_ORDERED = _WHOLE | {"numeric", "text", "varchar", "uuid", "date", "timestamp", "timestamptz"}
_ENDLESS = frozenset(("infinity", "-infinity", "Infinity", "-Infinity", "NaN"))
# A key with gaps is divided evenly by its values as long as they are not much more than the rows.
_GAPS = 3
# Below so many times ``chunk_rows`` a table is not divided.
_WORTH = 1.5


class PostgresProbe:
    """Answers what planning asks.

    Args:
        connection: An open one; its errors are translated by the caller.
        dataset: Whose rows they are.
        found: The table or query.
        snapshot: Names this process' snapshot, where rows are read by their place.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        dataset: DatabaseDataset,
        found: Found,
        snapshot: str,
    ) -> None:
        self._connection = connection
        self._dataset = dataset
        self._found = found
        self._snapshot = snapshot

    @property
    def cursor(self) -> CursorKind:
        """What kind of values the cursor has."""
        type_ = self._found.type_of(self.cursor_column)
        kind = _KINDS.get(type_.name) if type_.builtin and type_.element is None else None
        return cursor_kind(self._dataset, kind[0] if kind else None, type_.name)

    @property
    def cursor_column(self) -> str:
        """The cursor's name in the table."""
        return self._dataset.cursor_in(name for name, _ in self._found.columns)

    @property
    def _type(self) -> str:
        return _KINDS[self._found.type_of(self.cursor_column).name][1]

    def highest(self) -> str | None:
        """The highest cursor."""
        column = cursor_sql(self._found, self.cursor_column)
        (found,) = self._one(f"max({column})::text {self._from()}")
        if found in _ENDLESS and self.cursor != "text":
            raise SourceReadError(
                f"{self._dataset.name}: cursor: column {self.cursor_column} has the value {found}, "
                "after which nothing comes",
                hint="Leave such rows out with filter:.",
            )
        return None if found is None else str(found)

    def is_higher(self, one: str, other: str) -> bool:
        """Whether the first bound is above the other."""
        return bool(self._one(f"{self._typed(one)} > {self._typed(other)}")[0])

    def earlier(self, bound: str, lag: timedelta | int) -> str:
        """A bound, less a lag."""
        less = f"interval '{lag.total_seconds():.0f} s'" if isinstance(lag, timedelta) else str(lag)
        (found,) = self._one(f"({self._typed(bound)} - {less})::{self._type}::text")
        return str(found)

    def count(self, lower: str, upper: str) -> int:
        """How many rows have a cursor between two bounds, both within."""
        column = cursor_sql(self._found, self.cursor_column)
        window = f"{column} BETWEEN {literal(lower)} AND {literal(upper)}"
        return int(self._one(f"count(*) {self._from(window)}")[0])

    def any(self, condition: str) -> bool:
        """Whether there is a row for which a condition holds."""
        return bool(self._one(f"EXISTS (SELECT 1 {self._from(condition)})")[0])

    def ranges(self, chunk_rows: int) -> Ranges | None:
        """Ranges of the key; or of pages where there is none, which only one snapshot can read."""
        found = self._found
        if found.rows is None or found.rows < chunk_rows * _WORTH:
            return None
        if found.key and found.type_of(found.key[0]).name in _ORDERED:
            bounds = self._key_bounds(found.key[0], chunk_rows, found.rows)
            return Ranges(found.key[0], bounds) if bounds else None
        if found.has_pages:
            step = max(found.pages * chunk_rows // found.rows, 1)
            bounds = tuple(f"({page},0)" for page in range(step, found.pages, step))
            return Ranges("ctid", bounds, self._snapshot) if bounds else None
        return None

    def _key_bounds(self, key: str, chunk_rows: int, rows: int) -> tuple[str, ...]:
        column = identifier(key)
        if self._found.type_of(key).name in _WHOLE and len(self._found.key) == 1:
            lowest, highest = self._one(f"min({column}), max({column}) FROM {self._found.selected}")
            if lowest is None:
                return ()
            if highest - lowest < rows * _GAPS:
                step = max((highest - lowest + 1) * chunk_rows // rows, 1)
                return tuple(str(value) for value in range(lowest + step, highest + 1, step))
        numbered = (
            f"SELECT {column} AS bound, row_number() OVER (ORDER BY {column}) AS place "
            f"{self._from()}"
        )
        chosen = (
            f"SELECT DISTINCT bound FROM ({numbered}) AS numbered "
            f"WHERE place > 1 AND (place - 1) % {chunk_rows} = 0"
        )
        ordered = f"SELECT bound::text FROM ({chosen}) AS chosen ORDER BY chosen.bound"
        return tuple(str(row[0]) for row in self._connection.execute(ordered.encode(), binary=True))

    def _from(self, condition: str = "") -> str:
        """The rows of the dataset as FROM and WHERE."""
        return f"FROM {self._found.selected}{where(self._dataset, condition)}"

    def _typed(self, bound: str) -> str:
        return f"CAST({literal(bound)} AS {self._type})"

    def _one(self, sql: str) -> tuple[Any, ...]:
        with translated(self._dataset.name):
            found = self._connection.execute(f"SELECT {sql}".encode(), binary=True)
            return found.fetchone() or ()


def where(dataset: DatabaseDataset, *conditions: str) -> str:
    """The dataset's filter and some conditions, as WHERE.

    Example:
        >>> where(DatabaseDataset(name="d", table="t"), "", "id < 5")
        ' WHERE id < 5'
    """
    filtered = f"(\n{dataset.filter}\n)" if dataset.filter else ""
    given = [condition for condition in (filtered, *conditions) if condition]
    return f" WHERE {' AND '.join(given)}" if given else ""


def cursor_sql(found: Found, column: str) -> str:
    """The cursor's column as SQL; text is compared byte by byte, as everywhere."""
    name = identifier(column)
    kind = _KINDS.get(found.type_of(column).name)
    return f'{name} COLLATE "C"' if kind and kind[0] == "text" else name
