"""How DuckDB's types become PostgreSQL's: exactly, or refused by name.

Rows travel as ``COPY … (FORMAT binary)``, where a value is its bytes, without a type. So a column
goes as whatever has the bytes that PostgreSQL expects: a timestamp as microseconds since 2000, with
the two ends of ``bigint`` for its infinities
(https://www.postgresql.org/docs/current/datatype-datetime.html), a UUID as sixteen bytes. What has
no such form goes as text, and the server casts it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefect_etl.core.schema import Column
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import nests_json
from prefect_etl.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Bytes of a name; the server would cut what is longer, without an error.
MAX_NAME = 63
# https://www.postgresql.org/docs/current/ddl-system-columns.html
_OF_THE_SYSTEM = frozenset({"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"})
_EPOCH_MICROSECONDS = 946_684_800_000_000  # of 2000-01-01, where PostgreSQL's time begins
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_LIST = re.compile(r"(.+)\[\d*\]")

# Types whose Arrow form pgpq encodes as the bytes of this type of PostgreSQL's.
_SAME = {
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "UTINYINT": "smallint",
    "SMALLINT": "smallint",
    "USMALLINT": "integer",
    "INTEGER": "integer",
    "UINTEGER": "bigint",
    "BIGINT": "bigint",
    "UBIGINT": "numeric(20,0)",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "VARCHAR": "text",
    "BLOB": "bytea",
    "TIME": "time without time zone",
}
# Types that go as text. Intervals keep months, days and time apart there, as they do here.
_AS_TEXT = {
    "HUGEINT": "numeric(39,0)",
    "UHUGEINT": "numeric(39,0)",
    "BIGNUM": "numeric",
    "INTERVAL": "interval",
    "TIME WITH TIME ZONE": "time with time zone",
    "BIT": "bit varying",
}


@dataclass(frozen=True, slots=True)
class Carried:
    """How the values of a column get into PostgreSQL.

    Attributes:
        name: The column.
        kind: Its type in PostgreSQL, as the server spells it.
        expression: SQL for DuckDB that gives the values as they travel.
        wire: The type of a column that takes what travels; not ``kind`` where the server has to
            cast.
    """

    name: str
    kind: str
    expression: str
    wire: str

    @property
    def direct(self) -> bool:
        """Whether what travels needs no cast."""
        return self.wire == self.kind


def carried(column: Column, dataset: str) -> Carried:
    """How a column travels, and what it becomes.

    Args:
        column: With its DuckDB type.
        dataset: Named in errors.

    Raises:
        SchemaError: PostgreSQL has nothing that holds the type exactly, or the name is too long.

    Example:
        >>> carried(Column("price", "DECIMAL(12,2)"), "orders").kind
        'numeric(12,2)'
        >>> carried(Column("id", "UHUGEINT"), "orders").wire
        'text'
    """
    assert_name(column.name, f"{dataset}: column")
    name, kind = identifier(column.name), column.type
    if kind in _SAME:
        # A cast, though it is one to itself: bytes of another type would be taken for these.
        return Carried(column.name, _SAME[kind], f"CAST({name} AS {kind})", _SAME[kind])
    if match := _DECIMAL.fullmatch(kind):
        numeric = f"numeric({match[1]},{match[2]})"
        return Carried(column.name, numeric, f"CAST({name} AS {kind})", numeric)
    if kind in _AS_TEXT:
        return Carried(column.name, _AS_TEXT[kind], _text(name), "text")
    if kind in _COMPUTED:
        type_, expression = _COMPUTED[kind]
        return Carried(column.name, type_, expression(name), type_)
    if kind.startswith("ENUM("):
        return Carried(column.name, "text", _text(name), "text")
    if match := _LIST.fullmatch(kind):
        return _list(column, match[1], dataset)
    if kind.startswith(("STRUCT(", "MAP(")) and not nests_json(kind):
        return Carried(column.name, "jsonb", _jsonb(name), "jsonb")
    raise _refused(column, dataset)


def all_carried(columns: Iterable[Column], dataset: str) -> list[Carried]:
    """How several columns travel."""
    return [carried(column, dataset) for column in columns]


def assert_name(name: str, what: str) -> None:
    """Refuse a name that the server would cut, or that all its tables have already.

    Raises:
        SchemaError: It is longer than 63 bytes, or the name of a system column.

    Example:
        >>> assert_name("orders", "table")
    """
    size = len(name.encode())
    if size > MAX_NAME:
        cut = name.encode()[:MAX_NAME].decode(errors="ignore")
        raise SchemaError(
            f"{what} {name} has {size} bytes; PostgreSQL would cut it to {cut}",
            hint=f"Give it a name of at most {MAX_NAME} bytes, for example with columns: "
            "{rename: …} or into:.",
        )
    if name in _OF_THE_SYSTEM and what.endswith("column"):
        raise SchemaError(
            f"{what} {name} has a name that every table of PostgreSQL has for itself",
            hint=f"Give it another one with columns: {{rename: {{{name}: …}}}}.",
        )


def _list(column: Column, inner: str, dataset: str) -> Carried:
    """An array; lists of lists need not be rectangular, as arrays are, and become JSON."""
    if inner.endswith("]") or inner.startswith(("STRUCT(", "MAP(")):
        if nests_json(inner):
            raise _refused(column, dataset)
        return Carried(column.name, "jsonb", _jsonb(identifier(column.name)), "jsonb")
    if inner.endswith("_NS"):
        raise _refused(column, dataset)  # each value would have to be looked at
    element = carried(Column(column.name, inner), dataset)
    name, kind = identifier(column.name), f"{element.kind}[]"
    if inner in _SAME or _DECIMAL.fullmatch(inner):
        return Carried(column.name, kind, f"CAST({name} AS {inner}[])", kind)
    return Carried(column.name, kind, f"CAST({name} AS VARCHAR[])", "text[]")


def _refused(column: Column, dataset: str) -> SchemaError:
    return SchemaError(
        f"{dataset}: PostgreSQL has no type that holds column {column.name}, which is "
        f"{column.type}",
        hint="Cast it with columns: {cast: …}, or drop it with columns: {drop: …}.",
    )


def _text(name: str) -> str:
    return f"CAST({name} AS VARCHAR)"


def _jsonb(name: str) -> str:
    # Its binary form is that of text, after the number of the format.
    return f"chr(1) || CAST(to_json({name}) AS VARCHAR)"


def _uuid(name: str) -> str:
    return f"from_hex(replace(CAST({name} AS VARCHAR), '-', ''))"


def _moment(name: str) -> str:
    past, future = -(2**63), 2**63 - 1
    return (
        f"CASE WHEN isfinite({name}) THEN epoch_us({name}) - {_EPOCH_MICROSECONDS} "
        f"WHEN {name} > '2000-01-01' THEN {future} WHEN {name} IS NOT NULL THEN {past} END"
    )


def _day(name: str) -> str:
    past, future = -(2**31), 2**31 - 1
    return (
        f"CASE WHEN isfinite({name}) THEN CAST({name} - DATE '2000-01-01' AS INTEGER) "
        f"WHEN {name} > '2000-01-01' THEN {future} WHEN {name} IS NOT NULL THEN {past} END"
    )


def _whole_microseconds(kind: str, nanoseconds: str) -> Callable[[str], str]:
    """Of a type with nanoseconds; a value that would be cut is refused."""

    def expression(name: str) -> str:
        said = literal(f"{name} holds a value with nanoseconds, which PostgreSQL would cut: ")
        cut = f"CAST({name} AS {kind})"
        checked = (
            f"CASE WHEN CAST({cut} AS {nanoseconds}) IS DISTINCT FROM {name} "
            f"THEN error({said} || CAST({name} AS VARCHAR)) ELSE {cut} END"
        )
        return _moment(f"({checked})") if kind == "TIMESTAMP" else checked

    return expression


_COMPUTED: dict[str, tuple[str, Callable[[str], str]]] = {
    "DATE": ("date", _day),
    "TIMESTAMP": ("timestamp without time zone", _moment),
    "TIMESTAMP_S": ("timestamp without time zone", lambda n: _moment(f"CAST({n} AS TIMESTAMP)")),
    "TIMESTAMP_MS": ("timestamp without time zone", lambda n: _moment(f"CAST({n} AS TIMESTAMP)")),
    "TIMESTAMP_NS": (
        "timestamp without time zone",
        _whole_microseconds("TIMESTAMP", "TIMESTAMP_NS"),
    ),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", _moment),
    "TIME_NS": ("time without time zone", _whole_microseconds("TIME", "TIME_NS")),
    "UUID": ("uuid", _uuid),
    # Not jsonb: that would sort keys, drop the first of two, and respell numbers.
    "JSON": ("json", _text),
}
