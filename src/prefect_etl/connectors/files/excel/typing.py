"""Types of columns from the kinds of their cells, and values from their text."""

from __future__ import annotations

from collections.abc import Collection

from prefect_etl.core.types import is_integer

# A column of one of these kinds, or of those that one includes, is of the type.
_TYPES = (
    ({"bool"}, "BOOLEAN"),
    ({"whole"}, "BIGINT"),
    ({"whole", "number"}, "DOUBLE"),
    ({"date"}, "DATE"),
    ({"date", "moment"}, "TIMESTAMP"),
    ({"time"}, "TIME"),
)


def type_of(kinds: Collection[str]) -> str:
    """The type that holds all values of a column; text where none does.

    Example:
        >>> type_of(["whole"]), type_of(["date", "moment"]), type_of(["whole", "text"])
        ('BIGINT', 'TIMESTAMP', 'VARCHAR')
    """
    if not kinds:
        return "VARCHAR"
    return next((kind for among, kind in _TYPES if set(kinds) <= among), "VARCHAR")


def value_of(text: str, kind: str) -> str:
    """SQL: the value of a cell's text; null too where it is none of the type.

    Example:
        >>> value_of("c0", "VARCHAR"), value_of("c0", "DATE")
        ('c0', 'TRY_CAST(c0 AS DATE)')
    """
    if kind == "VARCHAR":
        return text
    if is_integer(kind):  # the engine would round what is not whole
        text = f"CASE WHEN NOT regexp_matches({text}, '[.,eE]') THEN {text} END"
    return f"TRY_CAST({text} AS {kind})"
