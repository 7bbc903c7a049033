"""What planning asks a MySQL table or query: its cursor, and where to divide it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.mysql.carrying import WireType
from prefect_etl.connectors.mysql.quoting import quoted, spelled
from prefect_etl.connectors.mysql.reflecting import Found, rows_of
from prefect_etl.connectors.relational import CursorKind, DatabaseDataset, Ranges, cursor_kind
from prefect_etl.errors import SourceReadError

if TYPE_CHECKING:
    import pymysql

_KINDS: dict[int, CursorKind] = {
    7: "timestamp",
    12: "timestamp",
    10: "date",
    14: "date",
    **dict.fromkeys((0, 246), "decimal"),
}
_TEXTS = (15, 249, 250, 251, 252, 253, 254)
_BINARY = 63
_ENUM_OR_SET = 0x900
# Below so many times ``chunk_rows`` a table is not divided.
_WORTH = 1.5


class MySqlProbe:
    """Answers what planning asks.

    Args:
        connection: An open one; its errors are translated by the caller.
        dataset: Whose rows they are.
        found: The table or query.
    """

    def __init__(
        self, connection: pymysql.Connection[Any], dataset: DatabaseDataset, found: Found
    ) -> None:
        self._connection = connection
        self._dataset = dataset
        self._found = found

    @property
    def cursor_column(self) -> tuple[str, WireType]:
        """The cursor's name and type in the table."""
        name = self._dataset.cursor_in(name for name, _ in self._found.columns)
        return name, self._found.type_of(name)

    @property
    def cursor(self) -> CursorKind:
        """What kind of values the cursor has."""
        name, wire = self.cursor_column
        return cursor_kind(self._dataset, kind_of(wire), f"no such type in MySQL ({name})")

    def highest(self) -> str | None:
        """The highest cursor."""
        found = self._one(f"CAST(max({cursor_sql(*self.cursor_column)}) AS CHAR) {self._from()}")
        return None if found is None else str(found)

    def is_higher(self, one: str, other: str) -> bool:
        """Whether the first bound is above the other."""
        return bool(self._one(f"{self._typed(one)} > {self._typed(other)}"))

    def earlier(self, bound: str, lag: timedelta | int) -> str:
        """A bound, less a lag."""
        if isinstance(lag, int):
            return str(Decimal(bound) - lag)
        seconds = lag.days * 86_400 + lag.seconds
        less = f"{self._typed(bound)} - INTERVAL {seconds} SECOND"
        kind = "DATE" if self.cursor == "date" else "DATETIME(6)"
        return str(self._one(f"CAST(CAST({less} AS {kind}) AS CHAR)"))

    def count(self, lower: str, upper: str) -> int:
        """How many rows have a cursor between two bounds, both within."""
        column = cursor_sql(*self.cursor_column)
        window = f"{column} BETWEEN {self.spelled(lower)} AND {self.spelled(upper)}"
        return int(self._one(f"count(*) {self._from(window)}"))

    def spelled(self, bound: str) -> str:
        """A bound as SQL."""
        if self.cursor in ("integer", "decimal"):
            try:
                return str(Decimal(bound))
            except ArithmeticError as error:
                raise SourceReadError(f"{bound!r} is no number") from error
        if self.cursor == "text":
            return f"CAST({spelled(bound)} AS BINARY)"
        return self._typed(bound)

    def _typed(self, bound: str) -> str:
        kinds = {"date": "DATE", "timestamp": "DATETIME(6)"}
        kind = kinds.get(self.cursor)
        if kind is None:
            return self.spelled(bound)
        without_zone = bound.removesuffix("Z").removesuffix("+00:00").removesuffix("+00")
        made = f"CAST({spelled(without_zone)} AS {kind})"
        if self._one(made) is None:
            raise SourceReadError(f"{bound!r} is no {kind}")
        return made

    def ranges(self, chunk_rows: int) -> Ranges | None:
        """Ranges of the primary key where it is a whole number."""
        found = self._found
        if found.number is None or found.rows is None or found.rows < chunk_rows * _WORTH:
            return None
        key = quoted(found.number)
        ((lowest, highest),) = rows_of(
            self._connection, f"SELECT min({key}), max({key}) FROM {found.selected}"
        )
        if lowest is None:
            return None
        step = max((highest - lowest + 1) * chunk_rows // found.rows, 1)
        bounds = tuple(str(value) for value in range(lowest + step, highest + 1, step))
        return Ranges(found.number, bounds) if bounds else None

    def _from(self, condition: str = "") -> str:
        """The rows of the dataset as FROM and WHERE."""
        return f"FROM {self._found.selected}{where(self._dataset, condition)}"

    def _one(self, sql: str) -> Any:
        return rows_of(self._connection, f"SELECT {sql}")[0][0]


def kind_of(wire: WireType) -> CursorKind | None:
    """What kind of cursor a type can be.

    Example:
        >>> kind_of(WireType(8)), kind_of(WireType(252, charset=63))
        ('integer', None)
    """
    if wire.is_integer:
        return "integer"
    if wire.code in _TEXTS:
        return None if wire.charset == _BINARY or wire.flags & _ENUM_OR_SET else "text"
    return _KINDS.get(wire.code)


def cursor_sql(column: str, wire: WireType) -> str:
    """The cursor's column, text of it compared byte by byte.

    Example:
        >>> cursor_sql("seen", WireType(12))
        '`seen`'
    """
    name = quoted(column)
    return f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)" if kind_of(wire) == "text" else name


def where(dataset: DatabaseDataset, *conditions: str) -> str:
    """The dataset's filter and some conditions, as WHERE."""
    given = [f"(\n{dataset.filter}\n)"] if dataset.filter else []
    given += [f"({condition})" for condition in conditions if condition]
    return f" WHERE {' AND '.join(given)}" if given else ""
