"""Names of types: what users write, and DuckDB's own name for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

from prefect_etl.core.sql import identifier, literal

_ALIASES = {
    "STRING": "VARCHAR",
    "STR": "VARCHAR",
    "TEXT": "VARCHAR",
    "CHAR": "VARCHAR",
    "BPCHAR": "VARCHAR",
    "INT": "INTEGER",
    "INT1": "TINYINT",
    "INT2": "SMALLINT",
    "INT4": "INTEGER",
    "INT8": "TINYINT",
    "INT16": "SMALLINT",
    "INT32": "INTEGER",
    "INT64": "BIGINT",
    "LONG": "BIGINT",
    "SHORT": "SMALLINT",
    "UINT8": "UTINYINT",
    "UINT16": "USMALLINT",
    "UINT32": "UINTEGER",
    "UINT64": "UBIGINT",
    "FLOAT32": "FLOAT",
    "FLOAT4": "FLOAT",
    "REAL": "FLOAT",
    "FLOAT64": "DOUBLE",
    "FLOAT8": "DOUBLE",
    "DOUBLE PRECISION": "DOUBLE",
    "BOOL": "BOOLEAN",
    "LOGICAL": "BOOLEAN",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
    "BINARY": "BLOB",
    "BYTES": "BLOB",
    "BYTEA": "BLOB",
    "VARBINARY": "BLOB",
    "DECIMAL": "DECIMAL(18,3)",
    "NUMERIC": "DECIMAL(18,3)",
}
_SIZED = re.compile(r"(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_TEXT = re.compile(r"(?:VARCHAR|CHAR|STRING|TEXT)\s*\(\s*\d+\s*\)")
_LEGAL = re.compile(r"[A-Za-z0-9_ (),\[\]\"]+")


def canonical_type(name: str) -> str:
    """DuckDB's own name of a type that a user wrote.

    ``int8`` is one byte, as in Arrow and NumPy, not eight, as in PostgreSQL.

    Raises:
        ValueError: It cannot be the name of a type.

    Example:
        >>> canonical_type("string"), canonical_type("int64"), canonical_type("numeric(10, 2)")
        ('VARCHAR', 'BIGINT', 'DECIMAL(10,2)')
    """
    text = " ".join(name.split())
    if not text or not _LEGAL.fullmatch(text):
        raise ValueError(f"{name!r} is not the name of a type")
    if "(" in text and not (_SIZED.fullmatch(text.upper()) or _TEXT.fullmatch(text.upper())):
        return text  # a nested type: its fields' names keep their case
    upper = text.upper()
    if match := _SIZED.fullmatch(upper):
        return f"DECIMAL({match[1]},{match[2] or 0})"
    if _TEXT.fullmatch(upper):
        return "VARCHAR"
    return _ALIASES.get(upper, upper)


TypeName = Annotated[str, AfterValidator(canonical_type)]

# What Parquet, as DuckDB writes it, gives back unchanged. Anything else is stored as text.
_EXACT_IN_PARQUET = re.compile(
    r"BOOLEAN|U?TINYINT|U?SMALLINT|U?INTEGER|U?BIGINT|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|BLOB"
    r"|DATE|TIME|TIMESTAMP|TIMESTAMP_NS|TIMESTAMP WITH TIME ZONE|UUID"
)
_NESTED = re.compile(r"STRUCT\(|MAP\(|\]$")
# What cannot be made again from its text; names of fields, which are quoted, say nothing.
_NOT_FROM_TEXT = re.compile(r"\b(UNION|VARIANT)\b")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_LOSSY_INSIDE = re.compile(r"\b(U?HUGEINT|INTERVAL|BIT|TIME WITH TIME ZONE|ENUM|UNION|BIGNUM)\b")


def stored_type(kind: str) -> str:
    """The type in which the raw zone stores a column of this type.

    DuckDB's Parquet writer turns HUGEINT into DOUBLE and cuts INTERVAL to milliseconds
    (https://duckdb.org/docs/stable/data/parquet/overview); such columns are stored as text.

    Example:
        >>> stored_type("BIGINT"), stored_type("HUGEINT"), stored_type("BIGINT[]")
        ('BIGINT', 'VARCHAR', 'BIGINT[]')
    """
    if _EXACT_IN_PARQUET.fullmatch(kind):
        return kind
    if _NESTED.search(kind) and not _LOSSY_INSIDE.search(kind):
        return kind
    return "VARCHAR"


def is_restorable(kind: str) -> bool:
    """Whether the raw zone gives back the values of a type as they were.

    Example:
        >>> is_restorable("INTERVAL"), is_restorable("UNION(n INTEGER, s VARCHAR)")
        (True, False)
    """
    return _NOT_FROM_TEXT.search(_QUOTED.sub("", kind)) is None


def nests_json(kind: str) -> bool:
    """Whether a nested type has JSON inside; made JSON as a whole, its numbers become DOUBLE.

    Example:
        >>> nests_json("STRUCT(j JSON)"), nests_json("JSON"), nests_json('STRUCT("JSON" DATE)')
        (True, False, False)
    """
    plain = _QUOTED.sub("", kind)
    return _NESTED.search(plain) is not None and re.search(r"\bJSON\b", plain) is not None


_INTEGER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
# Digits that count nothing: the numbers of an agent, or of a telephone.
NO_COUNT = r"^(0[0-9]|\+)"
_NOT_WHOLE = 'column "{}" has a number that is not whole'
_NO_NUMBER = 'column "{}" has digits after a zero or a plus, which count nothing'


def is_integer(kind: str) -> bool:
    """Whether a type holds whole numbers only.

    Example:
        >>> is_integer("UBIGINT"), is_integer("DECIMAL(4,0)")
        (True, False)
    """
    return _INTEGER.fullmatch(kind) is not None


def whole_numbers(columns: Sequence[str], kind: str, strict: Sequence[str] = ()) -> str:
    """SQL that converts the first of some columns of text to an integer, and checks all of them.

    DuckDB reads ``1.5`` into an integer column as 2, without a word; this fails there. One look at
    all columns of a row together costs half of one look at each.

    Args:
        columns: Names of columns of text.
        kind: The integer type of the first.
        strict: Those in which ``007`` and ``+49`` are no numbers.
    """
    others = [identifier(name) for name in columns if name not in strict]
    apart = [part for name in strict for part in ("','", identifier(name))]
    together = f"concat({', '.join([*apart, literal(';'), *others] if apart else others)})"
    wrong = [f"contains({together}, {literal(sign)})" for sign in ".eE"]
    if strict:
        wrong.append(f"contains({together}, ',0') AND regexp_matches({together}, ',0[0-9]')")
        wrong.append(f"contains({together}, ',+')")
    said = " ".join(
        f"WHEN regexp_matches({identifier(name)}, {literal(pattern)}) "
        f"THEN {literal(message.format(name))}"
        for names, pattern, message in (
            (columns, "[.eE]", _NOT_WHOLE),
            (strict, NO_COUNT, _NO_NUMBER),
        )
        for name in names
    )
    first, test = identifier(columns[0]), " OR ".join(wrong)
    return f"CASE WHEN {test} THEN error(CASE {said} END) ELSE CAST({first} AS {kind}) END"


def exact_cast(expression: str, source: str, kind: str, column: str) -> str:
    """SQL that converts a value, and fails where DuckDB would round it to a whole number.

    Args:
        expression: The value.
        source: Its type.
        kind: The type to convert to.
        column: The column's name, for the error.
    """
    cast = f"CAST({expression} AS {kind})"
    if not is_integer(kind) or is_integer(source):
        return cast
    rounded = (
        f"{expression} IS NOT NULL AND TRY_CAST({expression} AS DOUBLE) "
        f"IS DISTINCT FROM CAST(TRY_CAST({expression} AS {kind}) AS DOUBLE)"
    )
    return f"CASE WHEN {rounded} THEN error({literal(_NOT_WHOLE.format(column))}) ELSE {cast} END"
