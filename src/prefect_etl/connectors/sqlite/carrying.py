"""As what the values of a SQLite file come out, and how that is made sure of.

SQLite keeps any value in any column, whatever that was declared as. Here a column has one type, and
a value of another one is an error that says where it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from prefect_etl.connectors.sqlite.columns import DIGITS, FLOAT_DIGITS, affinity_of
from prefect_etl.core.schema import UNKNOWN
from prefect_etl.core.sql import identifier, literal

# What the driver is to give; any is made text of.
Given = Literal["integer", "real", "text", "blob", "any", "nothing"]
# Of a row: says which one it is.
PLACE = "_etl_place"
_MOST_DIGITS = 38
_SIZED = re.compile(r"(DECIMAL|NUMERIC|DECIMAL_TEXT)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_BY_NAME = {
    "BOOL": "BOOLEAN",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMP_S": "TIMESTAMP_S",
    "TIMESTAMP_MS": "TIMESTAMP_MS",
    "TIMESTAMP_NS": "TIMESTAMP_NS",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP WITH TIME ZONE",
    "TIME WITH TIME ZONE": "TIME WITH TIME ZONE",
    "TIME_NS": "TIME_NS",
    "INTERVAL": "INTERVAL",
    "UUID": "UUID",
    "JSON": "JSON",
    **{declared: kind for kind, declared in DIGITS.items()},
}
_BY_AFFINITY = {"INTEGER": "BIGINT", "TEXT": "VARCHAR", "REAL": "DOUBLE"}
_INTEGERS = frozenset(
    (
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER"),
    )
)
_ZONE = r":\d\d(\.\d+)?\s*([Zz]|[+-]\d\d(:?\d\d)?)$"
_NANOSECONDS = r"\.\d{6}\d*[1-9]"


@dataclass(frozen=True, slots=True)
class Carried:
    """How one column travels.

    Attributes:
        name: The column.
        type: DuckDB's name of the type that comes out.
        given: What the driver gives.
        restored: SQL of DuckDB for the column; None where nothing is to be done.
    """

    name: str
    type: str
    given: Given
    restored: str | None = None


def type_of(declared: str) -> str | None:
    """DuckDB's name of the type that a column was declared as; None where nothing is said.

    Whole numbers are ``BIGINT``, because all have 64 bits in SQLite.

    Example:
        >>> type_of("varchar(20)"), type_of("DECIMAL(10, 2)"), type_of("tinyint"), type_of("")
        ('VARCHAR', 'DECIMAL(10,2)', 'BIGINT', None)
    """
    name = " ".join(declared.upper().split())
    if match := _SIZED.fullmatch(name):
        digits, scale = int(match[2]), int(match[3] or 0)
        if scale <= digits <= _MOST_DIGITS:
            return f"DECIMAL({digits},{scale})"
        return "VARCHAR" if match[1] == "DECIMAL_TEXT" else None
    if name in _BY_NAME:
        return _BY_NAME[name]
    if (without_size := name.partition("(")[0].strip()) in ("DATETIME", "TIMESTAMP", "TIME"):
        return _BY_NAME[without_size]
    affinity = affinity_of(name)
    return "BLOB" if affinity == "BLOB" and name else _BY_AFFINITY.get(affinity)


def type_of_values(classes: Collection[str]) -> str | None:
    """The type of a column of which only its values tell; None where it has none.

    Args:
        classes: What ``typeof`` says of its values.

    Example:
        >>> type_of_values({"integer", "null"}), type_of_values({"integer", "text"})
        ('BIGINT', 'VARCHAR')
    """
    found = frozenset(classes) - {"null"}
    if not found:
        return None
    if found == {"integer"}:
        return "BIGINT"
    if found <= {"integer", "real"}:
        return "DOUBLE"
    return "BLOB" if found == {"blob"} else "VARCHAR"


def carried(name: str, kind: str, declared: str, *, placed: bool = False) -> Carried:
    """How a column travels.

    Args:
        name: The column.
        kind: DuckDB's name of the type that it is to have.
        declared: What it was declared as.
        placed: Whether rows can say which they are, in the column ``_etl_place``.

    Example:
        >>> carried("n", "BIGINT", "INT").given, carried("d", "DECIMAL(30,2)", "").given
        ('integer', 'any')
    """
    if kind == UNKNOWN:
        return Carried(name, kind, "nothing")
    if kind in _INTEGERS:
        return Carried(name, kind, "integer")
    if kind in ("DOUBLE", "FLOAT"):
        return Carried(name, kind, "real")
    if kind == "BLOB":
        return Carried(name, kind, "blob")
    if kind == "VARCHAR":
        # Numbers in a column of text have been text since they were written.
        mixed = affinity_of(declared) != "TEXT"
        return Carried(name, kind, "any" if mixed else "text")
    value = identifier(name)
    check = _Check(name, kind, placed=placed)
    if kind == "BOOLEAN":
        booleans = f"WHEN {value} = 0 THEN FALSE WHEN {value} = 1 THEN TRUE"
        return Carried(name, kind, "integer", check.case(booleans, f"CAST({value} AS VARCHAR)"))
    if kind.startswith("DECIMAL("):
        return _decimal(name, kind, check)
    cast = f"TRY_CAST({value} AS {kind})"
    fits = f"{cast} IS NOT NULL"
    if kind.startswith("TIMESTAMP"):
        fits = f"{fits} AND {_of_one_moment(value, kind)}"
    given: Given = "any" if kind in DIGITS or kind == "JSON" else "text"
    return Carried(name, kind, given, check.case(f"WHEN {fits} THEN {cast}", value))


def _decimal(name: str, kind: str, check: _Check) -> Carried:
    value = identifier(name)
    digits, scale = (int(part) for part in kind[8:-1].split(","))
    cast = f"TRY_CAST({value} AS {kind})"
    if digits <= FLOAT_DIGITS:
        same = f"WHEN CAST({cast} AS DOUBLE) = {value} THEN {cast}"
        return Carried(name, kind, "real", check.case(same, f"CAST({value} AS VARCHAR)"))
    pattern = rf"^[+-]?\d*(\.\d{{0,{scale}}}0*)?$"
    exact = f"{cast} IS NOT NULL AND regexp_matches({value}, {literal(pattern)})"
    return Carried(name, kind, "any", check.case(f"WHEN {exact} THEN {cast}", value))


def _of_one_moment(value: str, kind: str) -> str:
    """Whether a text says as much as its type: a zone or none, and no more digits."""
    zoned = f"regexp_matches({value}, {literal(_ZONE)})"
    if kind == "TIMESTAMP WITH TIME ZONE":
        said = f"({zoned} OR NOT isfinite(TRY_CAST({value} AS TIMESTAMP)))"
    else:
        said = f"NOT {zoned}"
    if kind == "TIMESTAMP_NS":
        return said
    return f"{said} AND NOT regexp_matches({value}, {literal(_NANOSECONDS)})"


@dataclass(frozen=True, slots=True)
class _Check:
    """Makes an error of a value that does not fit."""

    name: str
    kind: str
    placed: bool

    def case(self, fits: str, shown: str) -> str:
        """SQL of DuckDB: a value that fits, or an error.

        Args:
            fits: ``WHEN … THEN …``.
            shown: The value as text.
        """
        begin = literal(f'column "{self.name}" holds \'')
        end = literal(f"', which is no {self.kind}")
        place = f" || coalesce(', in the row with rowid ' || {PLACE}, '')" if self.placed else ""
        null = f"{identifier(self.name)} IS NULL"
        return (
            f"CASE WHEN {null} THEN NULL {fits} "
            f"ELSE error({begin} || left({shown}, 200) || {end}{place}) END"
        )
