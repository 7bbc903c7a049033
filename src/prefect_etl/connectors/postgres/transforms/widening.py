"""Which of PostgreSQL's types holds the values of two: for columns of transformations."""

from __future__ import annotations

import re

from prefect_etl.connectors.transforming import Publication
from prefect_etl.core.schema import UNKNOWN, TableSchema
from prefect_etl.errors import SchemaError

_DIGITS = {"smallint": (5, 0), "integer": (10, 0), "bigint": (19, 0)}
_INTEGERS = tuple(_DIGITS)
_FLOATS = ("real", "double precision")
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_TEXT = re.compile(r"text|character varying(\(\d+\))?|character\(\d+\)")


def wider(held: str, given: str) -> str | None:
    """The narrowest type that holds both exactly; None where there is none.

    Args:
        held: A column's type, as PostgreSQL spells it.
        given: Another one.

    Example:
        >>> wider("integer", "bigint"), wider("numeric(4,2)", "integer"), wider("date", "text")
        ('bigint', 'numeric(12,2)', None)
        >>> wider("numeric(4,2)", "numeric"), wider("character varying(3)", "text")
        ('numeric', 'text')
    """
    if given in (held, UNKNOWN):
        return held
    if held in _INTEGERS and given in _INTEGERS:
        return max(held, given, key=_INTEGERS.index)
    if _TEXT.fullmatch(held) and _TEXT.fullmatch(given):
        return "text"
    exact = [kind in _DIGITS or kind.startswith("numeric") for kind in (held, given)]
    if all(exact):
        return _wider_numeric(held, given)
    both = all(
        is_exact or kind in _FLOATS for is_exact, kind in zip(exact, (held, given), strict=True)
    )
    return "double precision" if both else None


def _wider_numeric(held: str, given: str) -> str:
    digits = [_digits(kind) for kind in (held, given)]
    known = [pair for pair in digits if pair is not None]
    if len(known) < len(digits):
        return "numeric"
    scale = max(scale for _, scale in known)
    whole = max(precision - scale for precision, scale in known)
    return f"numeric({whole + scale},{scale})"


def _digits(kind: str) -> tuple[int, int] | None:
    match = _NUMERIC.fullmatch(kind)
    return (int(match[1]), int(match[2])) if match else _DIGITS.get(kind)


def widened(publication: Publication, held: dict[str, str]) -> dict[str, str]:
    """The types that a table's columns need, so that an incremental result fits them.

    Args:
        publication: Its staged result is what has to fit.
        held: The table's columns with their types.

    Returns:
        Those of the table, changed where they have to be, and those that are new.

    Raises:
        SchemaError: A column changed to something else; all of them are named.
    """
    table = TableSchema.from_pairs(held.items())
    wanted, refused = dict(held), []
    for column in publication.staged.columns:
        present = table.find(column.name)
        if present is None:
            wanted[column.name] = "text" if column.type == UNKNOWN else column.type
        elif (kind := wider(present.type, column.type)) is None:
            refused.append(f"column {present.name} is {present.type} and would be {column.type}")
        else:
            wanted[present.name] = kind
    if refused:
        raise SchemaError(
            f"{publication.name}: the schema changed: {'; '.join(refused)}",
            hint="Cast the column in the transformation, or build its table anew with "
            "--full-refresh.",
        )
    return wanted
