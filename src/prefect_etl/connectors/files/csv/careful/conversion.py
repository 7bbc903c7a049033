"""SQL that turns the text of fields to types: exactly, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.core.sql import literal, literals
from prefect_etl.core.types import NO_COUNT, is_integer

_BLANKS = "[ \u00a0\u202f\u2009]"
_NUMBER = re.compile(r"DOUBLE|FLOAT|DECIMAL.*")
_TIMED = re.compile(r"DATE|TIME.*")


@dataclass(frozen=True, slots=True)
class Converted:
    """A column.

    Attributes:
        name: Its name.
        kind: Its type.
        text: SQL: its text; null where it is null.
        value: SQL: its value; null too where the text is no value of the type.
    """

    name: str
    kind: str
    text: str
    value: str

    @property
    def failed(self) -> str:
        """SQL: whether the text is no value of the type."""
        return f"({self.text} IS NOT NULL AND {self.value} IS NULL)"

    @property
    def test(self) -> Test:
        """What puts a record aside."""
        return Test(f"csv.type.{self.name}", f"{self.name} is no {self.kind}", self.failed)


@dataclass(frozen=True, slots=True)
class Test:
    """What puts records aside that were read: a rule, the reason in words, and SQL that tells."""

    rule: str
    reason: str
    failed: str


def conversion(
    place: int, name: str, kind: str, layout: Layout, *, strict: bool = False
) -> Converted:
    """How the field at a place becomes a column.

    Args:
        place: Of the field in its record, from 0.
        name: The column's.
        kind: Its type.
        layout: How values are written.
        strict: ``007`` and ``+49`` are no whole numbers.

    Example:
        >>> conversion(0, "n", "DOUBLE", Layout()).value
        'TRY_CAST(c0 AS DOUBLE)'
    """
    text = f"c{place}"
    value = _value(text, name, kind, layout)
    if strict:
        value = f"CASE WHEN NOT regexp_matches({text}, {literal(NO_COUNT)}) THEN {value} END"
    return Converted(name, kind, text, value)


def _value(text: str, name: str, kind: str, layout: Layout) -> str:
    if kind == "VARCHAR":
        return text
    formats = (layout.dates or {}).get(name, ())
    if formats and _TIMED.fullmatch(kind):
        return f"TRY_CAST(try_strptime({text}, [{literals(formats)}]) AS {kind})"
    if is_integer(kind):
        # DuckDB would round what is not whole.
        whole = f"CASE WHEN NOT regexp_matches({text}, '[.,eE]') THEN {text} END"
        if layout.thousands:
            sign, pattern = _grouping(layout.thousands)
            pattern = rf"\s*[+-]?(\d+|{pattern})\s*"
            whole = (
                f"CASE WHEN regexp_full_match({text}, {literal(pattern)}) "
                f"THEN regexp_replace({text}, {literal(sign)}, '', 'g') END"
            )
        return f"TRY_CAST({whole} AS {kind})"
    if _NUMBER.fullmatch(kind) and (layout.thousands or layout.decimal != "."):
        return f"TRY_CAST({_plain_number(text, layout)} AS {kind})"
    return f"TRY_CAST({text} AS {kind})"


def _grouping(thousands: str) -> tuple[str, str]:
    """The sign between thousands, and digits in groups, as regular expressions."""
    sign = _BLANKS if thousands == " " else f"[{thousands}]"
    return sign, rf"\d{{1,3}}({sign}\d{{3}})+"


def _plain_number(text: str, layout: Layout) -> str:
    """A number as the engine spells it; null where signs are not where they belong."""
    sign, groups = _grouping(layout.thousands) if layout.thousands else ("", "")
    digits = rf"({groups}|\d+|)" if groups else r"\d*"
    pattern = rf"\s*[+-]?{digits}([{layout.decimal}]\d*)?([eE][+-]?\d+)?\s*"
    bare = f"regexp_replace({text}, {literal(sign)}, '', 'g')" if sign else text
    dotted = bare if layout.decimal == "." else f"replace({bare}, {literal(layout.decimal)}, '.')"
    return f"CASE WHEN regexp_full_match({text}, {literal(pattern)}) THEN {dotted} END"
