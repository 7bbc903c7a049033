"""The three spellings of SQL text that come from data: names, literals, qualified names.

Every identifier or value that is put into SQL anywhere in this package goes through here. The rule
is that of the SQL standard (ISO/IEC 9075-2, 5.2 and 5.3): a delimiter inside is doubled. Importing
a parser for this one rule would cost a tenth of a second in every process.

Values are written into the text where DuckDB's parameters would do as well: given the first
parameter, DuckDB imports pandas, a third of a second, to know whether it is one of its nulls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import isfinite

# Of a float that is written as a decimal, as more bits than a float has are in a longer one.
_EXACT_DIGITS = 15


def identifier(name: str) -> str:
    """Quote a name, whatever it contains.

    Example:
        >>> identifier('a "b" c')
        '"a ""b"" c"'
    """
    if "\0" in name:
        raise ValueError(f"a name cannot contain a NUL character: {name!r}")
    return '"' + name.replace('"', '""') + '"'


def qualified(*names: str) -> str:
    """Quote and join the parts of a name.

    Example:
        >>> qualified("main", "flights")
        '"main"."flights"'
    """
    return ".".join(identifier(name) for name in names)


def literal(value: object) -> str:
    """Spell a plain value as a SQL literal; a list or a mapping as DuckDB spells them.

    Example:
        >>> literal("it's"), literal(None), literal(1.5), literal(True)
        ("'it''s'", 'NULL', '1.5', 'TRUE')
        >>> literal(0.012282681022680231)
        '0.012282681022680231e0'
        >>> literal({"nulls": ["", "NA"]})
        "{'nulls': ['', 'NA']}"
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case float() if not isfinite(value):
            return f"'{value}'::DOUBLE"
        case float():
            text = repr(value)
            # Without an exponent it is a decimal, from which so many digits come back as others.
            exact = "e" in text or sum(map(str.isdigit, text)) <= _EXACT_DIGITS
            return text if exact else f"{text}e0"
        case int() | Decimal():
            return str(value)
        case list() | tuple():
            return f"[{literals(value)}]"
        case Mapping():
            fields = (f"{literal(str(name))}: {literal(part)}" for name, part in value.items())
            return f"{{{', '.join(fields)}}}"
        case _:
            text = str(value)
            if "\0" in text:
                raise ValueError(f"a literal cannot contain a NUL character: {text!r}")
            return "'" + text.replace("'", "''") + "'"


def literals(values: Iterable[object]) -> str:
    """Spell values as a comma-separated list.

    Example:
        >>> literals(["a", 2])
        "'a', 2"
    """
    return ", ".join(literal(value) for value in values)
