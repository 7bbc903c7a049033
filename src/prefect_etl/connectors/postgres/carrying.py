"""How each type of PostgreSQL travels to the engine, exactly.

What ADBC carries well comes as it is, in binary. Anything else is made text by the server, and its
type is restored by the engine. Values that the engine's type does not have are an error that names
the column, never another value. ``numeric`` is made text by the server, too, although ADBC would
do it: there it is done by another processor, while this one reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import canonical_type

_MOST_DIGITS = 38
# As ADBC carries them and DuckDB reads them, alone and within arrays.
_PLAIN = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "text": "VARCHAR",
    "varchar": "VARCHAR",
    "bpchar": "VARCHAR",
    "char": "VARCHAR",
    "name": "VARCHAR",
    "bytea": "BLOB",
    "time": "TIME",
    "interval": "INTERVAL",
    "uuid": "UUID",
    "json": "JSON",
    "jsonb": "JSON",
}
# ADBC adds the years from 1970 to 2000 without looking at the end of the range, so what is beyond
# it comes out before PostgreSQL's first day, where nothing else is: +infinity, -infinity.
_FIRST_DAY = "4714-01-01 (BC)"
_MOMENTS = {
    "date": ("DATE", "DATE '1970-01-01' + CAST({} AS INTEGER)", -(2**31) + 10956),
    "timestamp": ("TIMESTAMP", "make_timestamp({})", -(2**63) + 946_684_799_999_999),
    "timestamptz": (
        "TIMESTAMP WITH TIME ZONE",
        "make_timestamptz({})",
        -(2**63) + 946_684_799_999_999,
    ),
}
# Nested arrays of these are the same in JSON.
_IN_JSON = frozenset(("bool", "int2", "int4", "int8", "text", "varchar", "name", "uuid"))
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


@dataclass(frozen=True, slots=True)
class PgType:
    """A type of PostgreSQL, domains resolved.

    Attributes:
        name: As in ``pg_type``.
        kind: ``typtype``: b for base, e for enum, c for composite, r for range.
        modifier: ``atttypmod``; -1 where there is none.
        element: The type of an array's elements; None where it is no array.
        builtin: Whether it is in ``pg_catalog``; others may share its name.
        dimensions: Of an array, as it was declared.
    """

    name: str
    kind: str = "b"
    modifier: int = -1
    element: PgType | None = None
    builtin: bool = True
    dimensions: int = 0

    @property
    def plain(self) -> str | None:
        """DuckDB's name of a type that travels as it is; None for others."""
        return _PLAIN.get(self.name) if self.builtin and self.element is None else None


@dataclass(frozen=True, slots=True)
class Carried:
    """How one column travels.

    Attributes:
        sent: SQL of PostgreSQL, with ``{}`` in the place of the column.
        type: DuckDB's name of the type that comes out.
        restored: SQL of DuckDB, with ``{}`` for what was sent; None where nothing is to be done.
        beside: SQL of PostgreSQL for a second value, null as a rule, that ``restored`` calls
            ``{beside}``.
        note: What a user should know of it.
    """

    sent: str
    type: str
    restored: str | None = None
    beside: str | None = None
    note: str | None = None


_SPECIAL = {
    "oid": Carried("{}::int8", "BIGINT"),
    "inet": Carried("inet_out({})::text", "VARCHAR"),  # its cast would add the mask's length
    "timetz": Carried("{}::text", "TIME WITH TIME ZONE", "CAST({} AS TIME WITH TIME ZONE)"),
}


def carried(column: str, type_: PgType, pinned: str | None = None, money_scale: int = 2) -> Carried:
    """How a column of a type travels.

    Args:
        column: Its name, for errors.
        type_: Its type.
        pinned: The DuckDB type that the user asks for with ``types:``.
        money_scale: Digits behind the point that the server's currency has.

    Example:
        >>> carried("n", PgType("numeric", modifier=(12 << 16 | 2) + 4)).type
        'DECIMAL(12,2)'
        >>> carried("n", PgType("macaddr")).sent
        '{}::text'
    """
    if type_.element is not None:
        return _array(column, type_.element, type_.dimensions, pinned)
    if (plain := type_.plain) is not None:
        return Carried("{}", plain)
    if not type_.builtin or type_.kind in "er":
        return _text() if type_.kind != "c" else _json()
    if type_.kind == "c" or type_.name == "record":
        return _json()
    if type_.name in _MOMENTS:
        return _moment(column, type_.name)
    if type_.name == "numeric":
        return _numeric(column, type_.modifier, pinned)
    if type_.name == "money":
        kind = f"DECIMAL(19,{money_scale})"
        return Carried("{}::numeric::text", kind, f"CAST({{}} AS {kind})")
    return _SPECIAL.get(type_.name, _text())


def _text(note: str | None = None) -> Carried:
    return Carried("{}::text", "VARCHAR", note=note)


def _json() -> Carried:
    return Carried("to_json({})::text", "JSON", "CAST({} AS JSON)")


def _moment(column: str, name: str) -> Carried:
    kind, made, highest = _MOMENTS[name]
    beyond = f'column "{column}" has a {name} beyond the range of {kind}'
    restored = (
        f"CASE WHEN {{}} IS NULL OR {{}} >= {kind} '{_FIRST_DAY}' THEN {{}} "
        f"WHEN {{}} = {made.format(highest)} THEN {kind} 'infinity' "
        f"WHEN {{}} = {made.format(highest + 1)} THEN {kind} '-infinity' "
        f"ELSE error({literal(beyond)}) END"
    )
    return Carried("{}", kind, restored)


def declared_decimal(modifier: int) -> str | None:
    """DuckDB's type for a ``numeric`` with a modifier; None where it has none that is wide enough.

    The modifier's layout is that of ``numeric_typmod_precision`` and ``…_scale`` in PostgreSQL's
    ``numeric.c``; a scale may be negative or larger than the precision.

    Example:
        >>> declared_decimal((12 << 16 | 2) + 4), declared_decimal(-1)
        ('DECIMAL(12,2)', None)
    """
    if modifier < 0:
        return None
    precision = (modifier - 4) >> 16 & 0xFFFF
    scale = (((modifier - 4) & 0x7FF) ^ 1024) - 1024
    precision, scale = max(precision, precision - scale, scale), max(scale, 0)
    return f"DECIMAL({precision},{scale})" if precision <= _MOST_DIGITS else None


def _numeric(column: str, modifier: int, pinned: str | None) -> Carried:
    kind = declared_decimal(modifier)
    if pinned is not None:
        return _pinned_numeric(column, pinned)
    if kind is None:
        return _text(
            f"column {column} is numeric without a precision, so it comes as text; to have "
            f"numbers, say which: types: {{{column}: decimal(38,10)}}"
        )
    nan = f'column "{column}" has NaN, which {kind} has not; types: {{{column}: double}} has it'
    restored = f"CASE WHEN {{}} = 'NaN' THEN error({literal(nan)}) ELSE CAST({{}} AS {kind}) END"
    return Carried("{}::text", kind, restored)


def _pinned_numeric(column: str, pinned: str) -> Carried:
    kind = canonical_type(pinned)
    match = _DECIMAL.fullmatch(kind)
    if match is None:
        return _text()  # what the user asks for is made of the text, exactly
    rounded = f'column "{column}" has a number with more digits than {kind}'
    cut = f"length(rtrim(split_part({{}}, '.', 2), '0')) > {match[2]}"
    restored = f"CASE WHEN {cut} THEN error({literal(rounded)}) ELSE CAST({{}} AS {kind}) END"
    return Carried("{}::text", kind, restored)


def _array(column: str, element: PgType, dimensions: int, pinned: str | None) -> Carried:
    if pinned is not None and canonical_type(pinned) == "VARCHAR":
        return _text()
    if dimensions > 1:
        return _nested(element, dimensions)
    if element.kind == "c":
        return _json()
    inner = carried(column, element)
    kind = f"{inner.type}[]"
    plain = element.plain is not None
    nested = f'column "{column}" has an array of several dimensions; '
    hint = f"types: {{{column}: string}} gives its text"
    said = f"error(concat({literal(nested)}, {{beside}}, {literal('; ' + hint)}))"
    value = "{}" if plain or inner.type == "VARCHAR" else f"CAST({{}} AS {kind})"
    flat = "array_ndims({}) > 1"
    return Carried(
        f"CASE WHEN {flat} THEN NULL ELSE {{}}{'' if plain else '::text::text[]'} END",
        kind,
        f"CASE WHEN {{beside}} IS NOT NULL THEN {said} ELSE {value} END",
        f"CASE WHEN {flat} THEN {{}}::text END",
    )


def _nested(element: PgType, dimensions: int) -> Carried:
    if element.name not in _IN_JSON or element.plain is None:
        return _text()
    kind = element.plain + "[]" * dimensions
    return Carried("array_to_json({})::text", kind, f"CAST(CAST({{}} AS JSON) AS {kind})")


def selection(columns: list[tuple[str, Carried]]) -> tuple[str, str]:
    """What is selected at the server, and what of the stream in the engine.

    Columns travel under short names, so that names which differ only in case do not meet.

    Example:
        >>> selection([("a", carried("a", PgType("int4"))), ("b", carried("b", PgType("macaddr")))])
        ('"a" AS c0, "b"::text AS c1', 'c0 AS "a", c1 AS "b"')
    """
    sent, restored = [], []
    for number, (name, how) in enumerate(columns):
        short, beside = f"c{number}", f"b{number}"
        sent.append(f"{_put(how.sent, identifier(name))} AS {short}")
        if how.beside is not None:
            sent.append(f"{_put(how.beside, identifier(name))} AS {beside}")
        value = _put(how.restored or "{}", short).replace("{beside}", beside)
        restored.append(f"{value} AS {identifier(name)}")
    return ", ".join(sent), ", ".join(restored)


def _put(sql: str, value: str) -> str:
    return sql.replace("{}", value)
