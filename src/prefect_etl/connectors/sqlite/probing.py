"""What planning asks a SQLite table or query: its cursor, and where to divide it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from prefect_etl.connectors.relational import CursorKind, DatabaseDataset, Ranges, cursor_kind
from prefect_etl.connectors.sqlite.carrying import Carried
from prefect_etl.connectors.sqlite.columns import ZONED
from prefect_etl.connectors.sqlite.reflecting import Found
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import is_integer
from prefect_etl.errors import SourceReadError

_ENDLESS = ("infinity", "-infinity")
# Below so many times ``chunk_rows`` a table is not divided.
_WORTH = 1.5
_GAPS = 3
_ZONED = re.compile(r"(.*:\d\d(?:\.\d+)?)([Zz]|[+-]\d\d(?::?\d\d)?)")
_MIDNIGHT = re.compile(r"\d+-\d\d-\d\d$")


class SqliteProbe:
    """Answers what planning asks. Bounds of times are text, spelled as the file spells them.

    Args:
        connection: In a transaction; its errors are translated by the caller.
        dataset: Whose rows they are.
        found: The table or query.
        columns: How its columns travel.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        dataset: DatabaseDataset,
        found: Found,
        columns: Sequence[Carried],
    ) -> None:
        self._connection = connection
        self._dataset = dataset
        self._found = found
        self._types = {column.name: column.type for column in columns}

    @property
    def cursor_column(self) -> tuple[str, str]:
        """The cursor's name and type."""
        name = self._dataset.cursor_in(self._types)
        return name, self._types[name]

    @property
    def cursor(self) -> CursorKind:
        """What kind of values the cursor has."""
        name, kind = self.cursor_column
        declared = self._found.columns[name]
        found = None if "_TEXT(" in declared.upper() else _kind_of(kind)
        return cursor_kind(self._dataset, found, declared or kind)

    def highest(self) -> str | None:
        """The highest cursor."""
        found = self._one(f"max({cursor_sql(*self.cursor_column)}) {self._from()}")
        if found is not None and self.cursor_column[1] in ZONED:
            found = f"{found}{self._assert_one_zone()}"
        if found is not None and str(found) in _ENDLESS and self.cursor != "text":
            raise SourceReadError(
                f"{self._dataset.name}: cursor: column {self.cursor_column[0]} has the value "
                f"{found}, after which nothing comes",
                hint="Leave such rows out with filter:.",
            )
        return None if found is None else str(found)

    def _assert_one_zone(self) -> str:
        """Z where times end so; text of other zones is in no order that holds for all.

        Raises:
            SourceReadError: Times of several zones are there.
        """
        column = identifier(self.cursor_column[0])
        zone = f"CASE WHEN {column} LIKE '%Z' THEN 'Z' ELSE substr({column}, -6) END"
        of_times = f"{column} NOT IN ('infinity', '-infinity')"
        found = self._connection.execute(f"SELECT DISTINCT {zone} {self._from(of_times)} LIMIT 2")
        zones = [zone for (zone,) in found]
        if len(zones) > 1:
            raise SourceReadError(
                f"{self._dataset.name}: cursor: column {self.cursor_column[0]} has times of "
                f"several zones, {' and '.join(zones)}, which are not in order as text",
                hint="Use a query: that gives them in one zone, or another cursor.",
            )
        return "Z" if zones == ["Z"] else ""

    def is_higher(self, one: str, other: str) -> bool:
        """Whether the first bound is above the other."""
        return bool(self._value(one) > self._value(other))

    def _value(self, bound: str) -> Any:
        """A bound as a value that can be compared.

        Raises:
            SourceReadError: It is no value of the cursor's type.
        """
        try:
            if self.cursor == "text":
                return bound.encode()
            if self.cursor in ("integer", "decimal"):
                return Decimal(bound)
            moment = datetime.fromisoformat(bound)
        except (ValueError, ArithmeticError) as error:
            raise SourceReadError(f"{bound!r} is no {self.cursor_column[1]}") from error
        return moment.replace(tzinfo=None) - (moment.utcoffset() or timedelta())

    def earlier(self, bound: str, lag: timedelta | int) -> str:
        """A bound, less a lag; of times whole seconds."""
        if isinstance(lag, int):
            return str(Decimal(bound) - lag)
        self._value(bound)
        if self.cursor == "date" and _MIDNIGHT.match(bound):
            return str(date.fromisoformat(bound) - lag)
        _, zone = _parted(bound)
        moment = datetime.fromisoformat(bound).replace(tzinfo=None, microsecond=0) - lag
        return moment.isoformat("T" if "T" in bound else " ") + zone

    def respelled(self, bound: str) -> str:
        """A bound of a time as the file spells times: with ``T`` or without, with a zone or not."""
        highest = self.highest() if self.cursor == "timestamp" else None
        if highest is None or _MIDNIGHT.match(bound):
            return bound
        self._value(bound)
        (text, _), (_, zone) = _parted(bound), _parted(highest)
        moment = datetime.fromisoformat(bound)
        if offset := moment.utcoffset():
            text = str(moment.replace(tzinfo=None) - offset)
        return re.sub(r"[T ]", "T" if "T" in highest else " ", text) + zone

    def count(self, lower: str, upper: str) -> int:
        """How many rows have a cursor between two bounds, both within."""
        low, high = self.spelled(lower), self.spelled(upper)
        window = f"{cursor_sql(*self.cursor_column)} BETWEEN {low} AND {high}"
        return int(self._one(f"count(*) {self._from(window)}"))

    def spelled(self, bound: str) -> str:
        """A bound as SQL."""
        if self.cursor in ("integer", "decimal"):
            return str(Decimal(bound))
        return literal(bound.rstrip("Zz") if self.cursor_column[1] in ZONED else bound)

    def ranges(self, chunk_rows: int) -> Ranges | None:
        """Ranges of row numbers; of a table without them, of a key that is a whole number."""
        key = self._found.rowid or self._numbered_key()
        if key is None:
            return None
        rows = int(self._one(f"count(*) {self._from()}"))
        if rows < chunk_rows * _WORTH:
            return None
        bounds = self._bounds(identifier(key) if key in self._types else key, chunk_rows, rows)
        return Ranges(key, bounds) if bounds else None

    def _numbered_key(self) -> str | None:
        key = self._found.key[:1]
        return next((name for name in key if is_integer(self._types.get(name, ""))), None)

    def _bounds(self, key: str, chunk_rows: int, rows: int) -> tuple[str, ...]:
        lowest, highest = self._connection.execute(
            f"SELECT min({key}), max({key}) {self._from()}"
        ).fetchone()
        if highest - lowest < rows * _GAPS and len(self._found.key) <= 1:
            step = max((highest - lowest + 1) * chunk_rows // rows, 1)
            return tuple(str(value) for value in range(lowest + step, highest + 1, step))
        numbered = (
            f"SELECT {key} AS bound, row_number() OVER (ORDER BY {key}) AS place {self._from()}"
        )
        found = self._connection.execute(
            f"SELECT DISTINCT bound FROM ({numbered}) "
            f"WHERE place > 1 AND (place - 1) % {chunk_rows} = 0 ORDER BY bound"
        )
        return tuple(str(bound) for (bound,) in found)

    def _from(self, condition: str = "") -> str:
        """The rows of the dataset as FROM and WHERE."""
        return f"FROM {self._found.selected}{where(self._dataset, condition)}"

    def _one(self, sql: str) -> Any:
        return self._connection.execute(f"SELECT {sql}").fetchone()[0]


def _parted(time: str) -> tuple[str, str]:
    """A time as text, and its zone apart."""
    match = _ZONED.fullmatch(time)
    return (match[1], match[2]) if match else (time, "")


def cursor_sql(column: str, kind: str) -> str:
    """The cursor's column, text of it compared byte by byte.

    Args:
        column: Its name.
        kind: Its type; ``Z`` behind a time would come after the point of a fraction.

    Example:
        >>> cursor_sql("seen", "TIMESTAMP")
        '"seen" COLLATE BINARY'
    """
    name = identifier(column)
    value = f"rtrim({name}, 'Zz')" if kind in ZONED else name
    return f"{value} COLLATE BINARY"


def where(dataset: DatabaseDataset, *conditions: str) -> str:
    r"""The dataset's filter and some conditions, as WHERE.

    Example:
        >>> where(DatabaseDataset(name="d", table="t", filter="a > 1"), "", "id < 5")
        ' WHERE (\na > 1\n) AND (id < 5)'
    """
    given = [f"(\n{dataset.filter}\n)"] if dataset.filter else []
    given += [f"({condition})" for condition in conditions if condition]
    return f" WHERE {' AND '.join(given)}" if given else ""


def _kind_of(kind: str) -> CursorKind | None:
    if kind.startswith("TIMESTAMP"):
        return "timestamp"
    if is_integer(kind):
        return "integer"
    if kind.startswith("DECIMAL"):
        return "decimal"
    known: dict[str, CursorKind] = {"DATE": "date", "VARCHAR": "text"}
    return known.get(kind)
