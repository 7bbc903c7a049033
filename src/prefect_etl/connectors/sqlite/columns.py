"""How DuckDB's types become SQLite's: exactly, or refused by name.

SQLite keeps whole numbers of 64 bits, floats, text and bytes, in any column. What a column is
declared as decides two things: which values SQLite converts when they are written (its
*affinity*, https://www.sqlite.org/datatype3.html), and as what our own source reads them. So a
column is declared with DuckDB's name of its type, and, where text must stay text that looks like a
number, with a name that has ``TEXT`` in it.

Decimals of up to 15 digits are floats, which give back just these digits, and can be added up and
compared by anybody's SQL; longer ones are text. Dates and times are ISO text, UTC where they have a
zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prefect_etl.core.schema import Column
from prefect_etl.core.sql import identifier
from prefect_etl.core.types import nests_json
from prefect_etl.errors import SchemaError

Affinity = Literal["INTEGER", "TEXT", "BLOB", "REAL", "NUMERIC"]
# What a value is stored as; of digits the text looks like a number.
Stored = Literal["integer", "real", "text", "digits", "blob"]

FLOAT_DIGITS = 15  # that a float gives back, whatever they are
_INT64_DIGITS = 18
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_INTEGERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER"),
)
ZONED = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
# Declared names of text that looks like a number, by DuckDB's name of the type.
DIGITS = {
    "UBIGINT": "UBIG_TEXT",
    "HUGEINT": "HUGE_TEXT",
    "UHUGEINT": "UHUGE_TEXT",
    "BIGNUM": "BIGNUM_TEXT",
    "BIT": "BIT_TEXT",
    "JSON": "JSON_TEXT",
}
# Text that never looks like a number.
_TEXTS = (
    *("DATE", "TIME", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIME_NS"),
    *("TIME WITH TIME ZONE", "INTERVAL", "UUID"),
)
_FITTING: dict[Stored, frozenset[Affinity]] = {
    "integer": frozenset(("INTEGER", "NUMERIC", "BLOB")),
    "real": frozenset(("REAL", "NUMERIC", "BLOB")),
    "text": frozenset(("TEXT", "NUMERIC", "BLOB", "INTEGER")),
    "digits": frozenset(("TEXT", "BLOB")),
    "blob": frozenset(("INTEGER", "TEXT", "BLOB", "REAL", "NUMERIC")),
}


@dataclass(frozen=True, slots=True)
class Carried:
    """How the values of a column get into SQLite.

    Attributes:
        name: The column.
        kind: What it is declared as.
        stored: What its values are there.
        expression: SQL of DuckDB that gives them.
    """

    name: str
    kind: str
    stored: Stored
    expression: str

    @property
    def fitting(self) -> frozenset[Affinity]:
        """The affinities that leave the values as they are."""
        return _FITTING[self.stored]


def affinity_of(declared: str) -> Affinity:
    """What SQLite converts values to that are written to a column.

    Example:
        >>> affinity_of("VARCHAR(20)"), affinity_of("BIGINT"), affinity_of("DATE")
        ('TEXT', 'INTEGER', 'NUMERIC')
    """
    name = declared.upper()
    if "INT" in name:
        return "INTEGER"
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in name or not name:
        return "BLOB"
    return "REAL" if any(part in name for part in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


def carried(column: Column, dataset: str) -> Carried:
    """How a column travels, and what it is declared as.

    Args:
        column: With its DuckDB type.
        dataset: Named in errors.

    Raises:
        SchemaError: SQLite has nothing that holds the type exactly.

    Example:
        >>> carried(Column("price", "DECIMAL(12,2)"), "orders").stored
        'real'
        >>> carried(Column("id", "UHUGEINT"), "orders").kind
        'UHUGE_TEXT'
    """
    name, kind = identifier(column.name), column.type
    text = f"CAST({name} AS VARCHAR)"
    if kind in _INTEGERS or kind == "BOOLEAN":
        return Carried(column.name, kind, "integer", f"CAST({name} AS BIGINT)")
    if kind in ("FLOAT", "DOUBLE"):
        return Carried(column.name, kind, "real", f"CAST({name} AS DOUBLE)")
    if match := _DECIMAL.fullmatch(kind):
        return _decimal(column.name, int(match[1]), int(match[2]))
    if kind == "VARCHAR" or kind.startswith("ENUM("):
        return Carried(column.name, "TEXT", "digits", text)
    if kind == "BLOB":
        return Carried(column.name, kind, "blob", name)
    if kind in ZONED:
        utc = f"CAST(timezone('UTC', {name}) AS VARCHAR)"
        zoned = f"CASE WHEN isfinite({name}) THEN {utc} || '+00:00' ELSE {utc} END"
        return Carried(column.name, ZONED[0], "text", zoned)
    if kind in DIGITS:
        return Carried(column.name, DIGITS[kind], "digits", text)
    if kind in _TEXTS:
        return Carried(column.name, kind, "text", text)
    if (kind.endswith("]") or kind.startswith(("STRUCT(", "MAP("))) and not nests_json(kind):
        return Carried(column.name, DIGITS["JSON"], "digits", f"CAST(to_json({name}) AS VARCHAR)")
    raise SchemaError(
        f"{dataset}: SQLite has no type that holds column {column.name}, which is {kind}",
        hint="Cast it with columns: {cast: …}, or drop it with columns: {drop: …}.",
    )


def all_carried(columns: Iterable[Column], dataset: str) -> list[Carried]:
    """How several columns travel."""
    return [carried(column, dataset) for column in columns]


def _decimal(column: str, digits: int, scale: int) -> Carried:
    name = identifier(column)
    if scale == 0 and digits <= _INT64_DIGITS:
        return Carried(column, f"DECIMAL({digits},0)", "integer", f"CAST({name} AS BIGINT)")
    if digits <= FLOAT_DIGITS:
        return Carried(column, f"DECIMAL({digits},{scale})", "real", f"CAST({name} AS DOUBLE)")
    return Carried(column, f"DECIMAL_TEXT({digits},{scale})", "digits", f"CAST({name} AS VARCHAR)")
