"""Lines of a table that are no rows of it: totals, trailers, units, and what names a delivery."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prefect_etl.connectors.files.csv.values import plain_type
from prefect_etl.core.sql import literal

_WORDS = (
    "(?:grand |sub)?totals?|sums?|(?:zwischen|gesamt)?summe|(?:ins)?gesamt|totale|"
    "eof|trl|tlr|trailer|ftr|footer|end of (?:file|report|data)"
)
_TOTAL = re.compile(rf"\s*(?:{_WORDS})\s*:?\s*", re.IGNORECASE)
_TOTAL_LINE = re.compile(rf"^[\W_]*(?:{_WORDS})\b", re.IGNORECASE | re.MULTILINE)
_DELIVERY = re.compile(r"f?hdr|header", re.IGNORECASE)
_TRAILER = re.compile(r"trl|tlr|trailer|ftr|footer|eof|end", re.IGNORECASE)
_DIGITS = re.compile(r"\d{4,}")
_YEAR = re.compile(r"(?:19|20)\d\d")


def is_total(fields: Sequence[str]) -> bool:
    """Whether a record seems to sum up others, or to end a file, by its first word.

    Example:
        >>> is_total(["Total:", "7"]), is_total(["", "Summe", "1"]), is_total(["Totality", "1"])
        (True, True, False)
    """
    first = next((field for field in fields[:2] if field.strip()), "")
    return _TOTAL.fullmatch(first) is not None


def may_have_totals(text: str) -> bool:
    """Whether a line of a text begins as such a record does."""
    return _TOTAL_LINE.search(text) is not None


def total_test(first: str, second: str | None) -> str:
    """SQL: the same of the text of the first two columns."""
    cells = f"nullif(trim({first}), ''), trim({second})" if second else first
    pattern = literal(f"(?i){_TOTAL.pattern}")
    return f"coalesce(regexp_full_match(coalesce({cells}), {pattern}), FALSE)"


def total_note(rows: Sequence[Sequence[str]]) -> list[str]:
    """What is said where the last row seems to be a total."""
    if len(rows) < 2 or not is_total(rows[-1]):
        return []
    return ["its last line seems to be a total or a trailer; if it is no row, say footer: 1"]


def names_delivery(first: Sequence[str], last: Sequence[str]) -> bool:
    """Whether the first record names the delivery instead of the columns.

    Example:
        >>> names_delivery(["HDR", "20230101", "ACME"], ["TRL", "2"])
        True
        >>> names_delivery(["header", "value"], ["a", "1"])
        False
    """
    if len(first) < 2 or not _DELIVERY.fullmatch(first[0].strip()):
        return False
    ended = bool(last) and _TRAILER.fullmatch(last[0].strip()) is not None
    return ended or any(_DIGITS.fullmatch(cell.strip()) for cell in first[1:])


def units_note(rows: Sequence[Sequence[str]]) -> list[str]:
    """What is said where the first row below the header seems to give units.

    Example:
        >>> len(units_note([["s", "m/s"], ["1", "2.5"], ["2", "3.5"]]))
        1
        >>> units_note([["a", "1"], ["b", "2"], ["c", "3"]])
        []
    """
    if len(rows) < 3 or any(plain_type([cell]) != "VARCHAR" for cell in rows[0] if cell):
        return []
    columns = list(zip(*rows, strict=True))
    if not any(_is_unit(column[0], [cell for cell in column[1:] if cell]) for column in columns):
        return []
    return ["its second line may give units; if it does, say header_lines: 2: numbers are text now"]


def _is_unit(cell: str, rest: Sequence[str]) -> bool:
    return bool(cell) and len(rest) > 1 and plain_type(rest) in ("BIGINT", "DOUBLE")


def names_years(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of some records names columns by years.

    Example:
        >>> names_years([["country", "2019", "2020"], ["DE", "1.5", "2.5"]])
        True
        >>> names_years([["DE", "2019", "2020"], ["FR", "2018", "2019"]])
        False
    """
    first, rest = rows[0], rows[1:6]
    return _are_years(first) and not any(map(_are_years, rest))


def _are_years(cells: Sequence[str]) -> bool:
    years = [cell for cell in cells if _YEAR.fullmatch(cell)]
    others = [cell for cell in cells if not _YEAR.fullmatch(cell)]
    ordered = years in (sorted(set(years)), sorted(set(years), reverse=True))
    named = all(cell.strip() and plain_type([cell]) == "VARCHAR" for cell in others)
    return len(years) > 1 and ordered and bool(others) and named
