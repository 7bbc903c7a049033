"""How each type of MySQL's travels to the engine, exactly.

What both drivers give without loss comes as it is. Anything else is made text by the server, and
its type is restored by the engine. A value that the engine's type does not have, such as the date
``0000-00-00``, is an error that names the column, never another value.
"""

from __future__ import annotations

from dataclasses import dataclass

from prefect_etl.core.sql import identifier, literal
from prefect_etl.errors import SourceReadError

_MOST_DIGITS = 38
_BINARY = 63  # the number of the character set of bytes
_UNSIGNED, _ENUM, _SET = 0x20, 0x100, 0x800
# Types by their number on the wire; see FIELD_TYPE of pymysql.
_INTEGERS = {1: "TINYINT", 2: "SMALLINT", 3: "INTEGER", 8: "BIGINT", 9: "INTEGER", 13: "SMALLINT"}
_TEXTS = (15, 247, 248, 249, 250, 251, 252, 253, 254)
_FLOAT, _DOUBLE, _DECIMALS, _BIT, _JSON, _GEOMETRY, _NULL = 4, 5, (0, 246), 16, 245, 255, 6
_TIMES = {
    7: ("TIMESTAMP WITH TIME ZONE", "CAST({} || '+00' AS TIMESTAMP WITH TIME ZONE)"),
    10: ("DATE", "CAST({} AS DATE)"),
    14: ("DATE", "CAST({} AS DATE)"),
    11: ("TIME", "CAST({} AS TIME)"),
    12: ("TIMESTAMP", "CAST({} AS TIMESTAMP)"),
}


@dataclass(frozen=True, slots=True)
class WireType:
    """A column's type as the server tells it with a result.

    Attributes:
        code: Its number.
        charset: The number of its character set.
        length: In bytes or digits.
        scale: Digits behind the point.
        flags: Whether it is unsigned, an enum, a set.
    """

    code: int
    charset: int = _BINARY
    length: int = 0
    scale: int = 0
    flags: int = 0

    @property
    def digits(self) -> int:
        """Of a decimal: how many it may have, without sign and point."""
        signed = 0 if self.flags & _UNSIGNED else 1
        return self.length - (1 if self.scale else 0) - signed

    @property
    def is_integer(self) -> bool:
        """Whether it is a whole number."""
        return self.code in _INTEGERS


@dataclass(frozen=True, slots=True)
class Carried:
    """How one column travels.

    Attributes:
        sent: SQL of MySQL, with ``{}`` in the place of the column.
        type: DuckDB's name of the type that comes out.
        restored: SQL of DuckDB, with ``{}`` for what was sent.
        binary: Whether bytes come, not text or numbers.
        note: What a user should know of it.
    """

    sent: str
    type: str
    restored: str = "{}"
    binary: bool = False
    note: str | None = None


def carried(column: str, wire: WireType, pinned: str | None = None) -> Carried:
    """How a column of a type travels.

    Args:
        column: Its name, for errors.
        wire: Its type.
        pinned: The DuckDB type that the user asks for with ``types:``.

    Raises:
        SourceReadError: The engine has nothing for the type.

    Example:
        >>> carried("n", WireType(246, length=14, scale=2)).type
        'DECIMAL(12,2)'
        >>> carried("n", WireType(8, flags=0x20)).type
        'UBIGINT'
    """
    if pinned in ("VARCHAR", "INTERVAL") and wire.code not in (*_TEXTS, _GEOMETRY):
        return _text(pinned)
    if wire.is_integer:
        return _number(("U" if wire.flags & _UNSIGNED else "") + _INTEGERS[wire.code])
    if wire.code in (_FLOAT, _DOUBLE):
        # The server writes floats with six digits; made doubles they have all.
        made = "({} + 0e0)" if wire.code == _FLOAT else "{}"
        return _number("FLOAT" if wire.code == _FLOAT else "DOUBLE", made)
    if wire.code in _DECIMALS:
        return _decimal(wire, pinned)
    if wire.code == _BIT:
        kind = "BOOLEAN" if wire.length == 1 else "UBIGINT"
        return _number(kind, "CAST({} AS UNSIGNED)")
    if wire.code in _TIMES:
        return _time(column, wire.code)
    if wire.code == _JSON:
        return Carried("CAST({} AS CHAR)", "JSON", "CAST({} AS JSON)")
    if wire.code == _NULL:
        return _text("VARCHAR")
    if wire.code in _TEXTS:
        return _of_text(wire)
    raise SourceReadError(
        f"column {column} is of a type that only MySQL has, such as a geometry",
        hint="Leave it out with columns: {drop: …}, or use a query: with ST_AsText(…).",
    )


def _of_text(wire: WireType) -> Carried:
    if wire.flags & (_ENUM | _SET) or wire.charset != _BINARY:
        return Carried("CONVERT({} USING utf8mb4)", "VARCHAR")
    return Carried("{}", "BLOB", binary=True)


def _number(kind: str, sent: str = "{}") -> Carried:
    # ConnectorX gives numbers in the width of what was computed, pymysql as text.
    return Carried(sent, kind, f"CAST({{}} AS {kind})")


def _text(kind: str) -> Carried:
    return Carried("CAST({} AS CHAR)", kind, "{}" if kind == "VARCHAR" else f"CAST({{}} AS {kind})")


def _decimal(wire: WireType, pinned: str | None) -> Carried:
    if wire.digits <= _MOST_DIGITS:
        kind = f"DECIMAL({wire.digits},{wire.scale})"
        return Carried("CAST({} AS CHAR)", kind, f"CAST({{}} AS {kind})")
    if pinned == "DOUBLE":
        return Carried("CAST({} AS CHAR)", "DOUBLE", "CAST({} AS DOUBLE)")
    note = (
        f"has {wire.digits} digits, more than a decimal of the engine: it is read as text; pin "
        "another type with types: where its values have fewer"
    )
    if pinned is not None and pinned.startswith("DECIMAL("):
        return _pinned_decimal(pinned)
    return Carried("CAST({} AS CHAR)", "VARCHAR", note=note)


def _pinned_decimal(kind: str) -> Carried:
    scale = int(kind[8:-1].split(",")[1])
    exact = rf"^-?\d+(\.\d{{0,{scale}}}0*)?$"
    said = literal(f" is no {kind}")
    restored = (
        f"CASE WHEN {{}} IS NULL OR regexp_matches({{}}, {literal(exact)}) "
        f"THEN CAST({{}} AS {kind}) ELSE error({{}} || {said}) END"
    )
    return Carried("CAST({} AS CHAR)", kind, restored)


def _time(column: str, code: int) -> Carried:
    kind, cast = _TIMES[code]
    begin, end = literal(f'column "{column}" holds \''), literal(f"', which is no {kind}")
    attempt = cast.replace("CAST(", "TRY_CAST(")
    restored = (
        f"CASE WHEN {{}} IS NULL THEN NULL WHEN {attempt} IS NOT NULL THEN {attempt} "
        f"ELSE error({begin} || {{}} || {end}) END"
    )
    return Carried("CAST({} AS CHAR)", kind, restored)


def put(sql: str, value: str) -> str:
    """SQL with a value in the place of each ``{}``.

    Example:
        >>> put("CAST({} AS CHAR)", "`a`")
        'CAST(`a` AS CHAR)'
    """
    return sql.replace("{}", value)


def restoring(name: str, how: Carried) -> str:
    """SQL of DuckDB that restores a column under its name."""
    return f"{put(how.restored, identifier(name))} AS {identifier(name)}"
