"""Types of columns, from the text of their first values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# What begins with a zero that counts nothing is no number: 007 would be 7.
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,17})")
# Whole numbers of which some have a plus, or an E without a point or a sign: rather the numbers
# of telephones, and names like 12E4.
_NAMED = re.compile(r"\+?\d+(?:[eE]\d+)?|-\d+")
_LONG = re.compile(r"[+-]?[1-9]\d{18,36}")
_REAL = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_TRUTH = re.compile(r"true|false", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?")
_STAMP = re.compile(r"\d{4}-\d\d?-\d\d?[ T]\d\d?:\d\d(:\d\d(\.\d{1,6})?)?")
_MIXED = re.compile(r"[+-]?\d[\d.,' \u00a0\u202f\u2009_]*")
# Digits, signs, and no words but months and halves of a day: strptime is asked of few others.
_MONTHED = re.compile(
    r"(?=.*\d)(?:[\d./\- ,:]|[ap]m"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*){6,32}",
    re.IGNORECASE,
)
# Each with the one that it could be taken for.
_ORDERS = (
    ("%d/%m/%Y", "%m/%d/%Y"),
    ("%d-%m-%Y", "%m-%d-%Y"),
    ("%d.%m.%Y", None),
    ("%Y/%m/%d", None),
    ("%Y.%m.%d", None),
    ("%Y%m%d", None),
    ("%d %b %Y", None),
    ("%d-%b-%Y", None),
    ("%d %B %Y", None),
    ("%b %d, %Y", None),
    ("%B %d, %Y", None),
    ("%d/%m/%y", "%m/%d/%y"),
    ("%d.%m.%y", None),
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
# Decimal sign and sign between thousands.
_SIGNS = ((".", ","), (".", "'"), (".", " "), (",", "."), (",", " "), (",", "'"), (",", ""))
_SPACES = "[ \u00a0\u202f\u2009]"


@dataclass(frozen=True)
class Typed:
    """Types by column, the file's signs in numbers, formats of dates, and what was left open."""

    types: tuple[str, ...]
    decimal: str = "."
    thousands: str = ""
    dates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def typed(
    names: Sequence[str],
    columns: Sequence[Sequence[str]],
    signs: tuple[str | None, str | None],
    formats: Sequence[str] = (),
) -> Typed:
    """Types of columns of text without nulls.

    Args:
        names: Of the columns.
        columns: Their values.
        signs: The decimal sign and the one between thousands, where the user says them.
        formats: Of dates, where the user says them.

    Example:
        >>> columns = [["1.234,50", "2,5"], ["13/02/2024", "01/02/2024"]]
        >>> found = typed(["n", "d"], columns, (None, None))
        >>> found.types, found.decimal, found.thousands, dict(found.dates)
        (('DOUBLE', 'DATE'), ',', '.', {'d': ('%d/%m/%Y',)})
    """
    decimal, thousands = _signs(columns, signs)
    types, dates, notes = [], {}, []
    for name, values in zip(names, columns, strict=True):
        kind = plain_type(values) if (decimal, thousands) == (".", "") else None
        if kind in (None, "DOUBLE", "VARCHAR", "BIGINT"):
            kind = _number(values, decimal, thousands) or plain_type(values)
            if kind == "DOUBLE" and not _number(values, decimal, thousands):
                kind = "VARCHAR"
        if formats or kind == "VARCHAR":
            found, unsure = date_format(values, formats)
            if found:
                dates[name], kind = (found[0],), found[1]
            if unsure:
                notes.append(f"{name} may be day first or month first: it is text; say dates:")
        types.append(kind or "VARCHAR")
    return Typed(tuple(types), decimal, thousands, dates, tuple(notes))


def plain_type(values: Sequence[str]) -> str:
    """The type of values as the engine spells them.

    Example:
        >>> plain_type(["1", "2"]), plain_type(["1", "2.5"]), plain_type(["1", "x"])
        ('BIGINT', 'DOUBLE', 'VARCHAR')
    """
    if not values:
        return "VARCHAR"
    for pattern, kind in (
        (_WHOLE, "BIGINT"),
        (_TRUTH, "BOOLEAN"),
        (_DATE, "DATE"),
        (_STAMP, "TIMESTAMP"),
    ):
        if _all(pattern, values):
            return kind
    if all(_WHOLE.fullmatch(v) or _LONG.fullmatch(v) for v in map(str.strip, values)):
        return "HUGEINT"
    long = any(_LONG.fullmatch(value.strip()) for value in values)
    named = _all(_NAMED, values) and not _all(_WHOLE, values)
    return "DOUBLE" if _all(_REAL, values) and not (long or named) else "VARCHAR"


def may_be_typed(values: Sequence[str]) -> bool:
    """Whether values that the engine takes for text may be numbers, or dates.

    Example:
        >>> may_be_typed(["1.234,5"]), may_be_typed(["a"]), may_be_typed(["13 Feb 2024"])
        (True, False, True)
    """
    if not values or plain_type(values) != "VARCHAR":
        return False
    dated = date_format(values)[0] is not None
    return dated or (_all(_MIXED, values) and _signs([values], (None, None)) != (".", ""))


def _all(pattern: re.Pattern[str], values: Sequence[str]) -> bool:
    return all(pattern.fullmatch(value.strip()) for value in values)


def _signs(
    columns: Sequence[Sequence[str]], said: tuple[str | None, str | None]
) -> tuple[str, str]:
    """The one spelling of numbers that values decide; the engine's where they do not."""
    decimal, thousands = said
    if decimal is not None or thousands is not None:
        return decimal or ("," if thousands == "." else "."), thousands or ""
    mixed = [v for v in columns if v and _all(_MIXED, v) and not _all(_WHOLE, v)]
    if not mixed or all(_all(_REAL, values) or _is_dates(values) for values in mixed):
        return ".", ""
    fitting = {pair: [values for values in mixed if _number(values, *pair)] for pair in _SIGNS}
    most = max(map(len, fitting.values()))
    best = [pair for pair, found in fitting.items() if found and len(found) == most]
    plain = [values for values in mixed if _all(_REAL, values) and not _is_dates(values)]
    best = [p for p in best if all(_number(v, *p) for v in plain)]
    if (",", "") in best and len(best) > 1:
        # 12,5 has one reading; 1.234,5 needs its points; 1,234 could be either.
        best = [(",", "")] if (".", ",") not in best else []
    if len({decimal for decimal, _ in best}) > 1 or not best:
        return ".", ""
    # Of several signs between thousands that are possible none was seen.
    return best[0]


def _is_dates(values: Sequence[str]) -> bool:
    return date_format(values)[0] is not None


def _number(values: Sequence[str], decimal: str, thousands: str) -> str | None:
    """BIGINT or DOUBLE, where all values are numbers that are spelled so."""
    if not values or (_all(_NAMED, values) and not _all(_WHOLE, values)):
        return None
    sign = _SPACES if thousands == " " else f"[{thousands}]"
    grouped = rf"[1-9]\d{{0,2}}(?:{sign}\d{{3}})+|" if thousands else ""
    digits = rf"(?:{grouped}0|[1-9]\d*)"
    if _all(re.compile(rf"[+-]?{digits}"), values):
        # Leading zeros, and more digits than a BIGINT has, are left to what they were.
        return "BIGINT" if all(len(re.sub(r"\D", "", v)) <= 18 for v in values) else None
    fraction = rf"(?:[{decimal}]\d*)?(?:[eE][+-]?\d+)?"
    return "DOUBLE" if _all(re.compile(rf"[+-]?{digits}{fraction}"), values) else None


def date_format(
    values: Sequence[str], formats: Sequence[str] = ()
) -> tuple[tuple[str, str] | None, bool]:
    """The format and type of dates and times; and whether two would do, so that none is taken.

    Example:
        >>> date_format(["13/02/2024", "01/02/2024"])
        (('%d/%m/%Y', 'DATE'), False)
        >>> date_format(["03/02/2024", "01/02/2024"])
        (None, True)
    """
    if not values or not _all(_MONTHED, values):
        return None, False
    for form in formats:
        if _fits(values, form):
            return (form, "TIMESTAMP" if "%H" in form or "%I" in form else "DATE"), False
    if formats or not any(c in values[0] for c in "/-. ,"):
        return None, False
    for order, swapped in _ORDERS:
        for clock in _CLOCKS:
            fits = _fits(values, order + clock)
            other = swapped is not None and _fits(values, swapped + clock)
            if fits and other:
                same = all(_same(value, order + clock, f"{swapped}{clock}") for value in values)
                return None, not same
            if fits or other:
                form = (order if fits else f"{swapped}") + clock
                return (form, "TIMESTAMP" if clock else "DATE"), False
    return None, False


def _fits(values: Sequence[str], form: str) -> bool:
    return all(_parsed(value, form) is not None for value in values)


def _same(value: str, one: str, other: str) -> bool:
    return bool(_parsed(value, one) == _parsed(value, other))


def _parsed(value: str, form: str) -> Any:
    try:
        return datetime.strptime(value.strip(), form)  # noqa: DTZ007 - no zone is written
    except ValueError:
        return None
