"""Functions that SQLite lacks: values from text, their order, and what they are when widened.

They are Python's, put into a connection as SQL functions, because SQLite knows neither decimals nor
times (https://www.sqlite.org/datatype3.html).
"""

from __future__ import annotations

import re
import sqlite3
from decimal import Decimal
from typing import Any

from prefect_etl.connectors.sqlite.columns import Carried, carried
from prefect_etl.core.schema import Column

PARSED, ORDERED = "_etl_parsed", "_etl_ordered"
_WIDENED = "_etl_widened"
_FRACTION = re.compile(r"(\.\d*?)0+(?=\D|$)")
_YEAR = re.compile(r"(\d+)(-\d\d-\d\d)( \(BC\))?(.*)")
_NUMBERS = ("UBIGINT", "HUGEINT", "UHUGEINT", "BIGNUM", "DECIMAL(")
_FIRST, _LAST = "0", "3"
_OFFSET = 10**12


def add_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that statements of loads call."""
    connection.create_function(PARSED, 2, parsed, deterministic=True)
    connection.create_function(ORDERED, 2, ordered, deterministic=True)


def needs_order(kind: str) -> bool:
    """Whether stored values of a type are not in order as SQLite compares them.

    Args:
        kind: DuckDB's name of the type.
    """
    if kind.startswith(("DATE", "TIMESTAMP")):
        return True
    return _stored(kind).stored == "digits" and kind.startswith(_NUMBERS)


def _stored(kind: str) -> Carried:
    return carried(Column("value", kind), "the value")


def parsed(text: str | None, kind: str) -> Any:
    """A value as it is stored, from DuckDB's text or from what is stored.

    Example:
        >>> parsed("2026-01-02 03:04:05.500000+00", "TIMESTAMP WITH TIME ZONE")
        '2026-01-02 03:04:05.5+00:00'
        >>> parsed("12.50", "DECIMAL(12,2)"), parsed("7", "INTEGER")
        (12.5, 7)
    """
    if text is None:
        return None
    stored = _stored(kind).stored
    if stored == "integer":
        return {"true": 1, "false": 0}[text] if text in ("true", "false") else int(text)
    if stored == "real":
        return "NaN" if text.lower() == "nan" else float(text)
    if kind.startswith("TIMESTAMP"):
        shortened = _FRACTION.sub(r"\1", text).replace(".+", "+").rstrip(".")
        return shortened + ":00" if re.search(r":\d\d(\.\d+)?\+00$", shortened) else shortened
    return text


def ordered(value: Any, kind: str) -> Any:
    """Text that is in the order of the values whose type is not compared so in SQLite.

    Example:
        >>> ordered("9.5", "DECIMAL(20,1)") < ordered("10.0", "DECIMAL(20,1)")
        True
        >>> ordered("0044-03-15 (BC)", "DATE") < ordered("0001-01-01", "DATE") < ordered(
        ...     "10000-01-01", "DATE")
        True
    """
    if not isinstance(value, str):
        return value
    if kind.startswith(("DATE", "TIMESTAMP")):
        return _time_in_order(value)
    return _number_in_order(Decimal(value))


def _time_in_order(text: str) -> str:
    if text in ("infinity", "-infinity"):
        return _FIRST if text.startswith("-") else _LAST
    match = _YEAR.fullmatch(text)
    if match is None:
        return text
    year, day, before_christ, time = match.groups()
    number = -int(year) if before_christ else int(year)
    return f"1{number + _OFFSET:013d}{day}{time}"


def _number_in_order(number: Decimal) -> str:
    sign, digits, exponent = number.as_tuple()
    if not any(digits) or not isinstance(exponent, int):
        return "1"
    whole = number.copy_abs()
    text = f"{whole:f}"
    before, _, behind = text.partition(".")
    magnitude = f"{before.lstrip('0').rjust(60, '0')}.{behind.rstrip('0')}"
    if not sign:
        return f"2{magnitude}"
    turned = magnitude.translate(str.maketrans("0123456789", "9876543210"))
    return f"0{turned}~"  # behind all that go on, because less was taken away


class Widening:
    """Values of a column in the form of a wider type, and the first that is not the same there.

    Args:
        connection: Gets the function.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.changed: Any = None
        connection.create_function(_WIDENED, 3, self._widened)

    def sql(self, value: str, old: str, new: str) -> str:
        """A column in its wider form; the types are DuckDB's, which have no quotes."""
        return f"{_WIDENED}({value}, '{old}', '{new}')"

    def _widened(self, value: Any, old: str, new: str) -> Any:
        if value is None:
            return None
        exact = self._exact(value, old)
        if exact is None:
            return value  # NaN and infinities, which floats of both sizes have
        wide: Any
        stored = _stored(new)
        if stored.stored == "integer":
            wide = int(exact)
        elif stored.stored == "real":
            wide = float(exact)
            if new.startswith("DECIMAL("):
                return wide
        else:
            scale = int(new.partition(",")[2].rstrip(")") or 0) if "," in new else 0
            wide = f"{exact:.{scale}f}"
        if Decimal(wide) != exact and self.changed is None:
            self.changed = value
        return wide

    def _exact(self, value: Any, old: str) -> Decimal | None:
        if old.startswith("DECIMAL(") and isinstance(value, float):
            scale = int(old.partition(",")[2].rstrip(")"))
            return Decimal(f"{value:.{scale}f}")
        number = Decimal(value)
        return number if number.is_finite() else None
