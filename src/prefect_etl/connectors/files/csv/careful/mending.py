"""Repairs of records that are none as they stand, each told."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prefect_etl.connectors.files.csv.careful.blocks import BOM, MARKED
from prefect_etl.connectors.files.csv.careful.grammar import Grammar

# Stands for a field that is missing; no text has it, because it is no character.
MISSING = "\ufdd0"


@dataclass(frozen=True, slots=True)
class Mend:
    """A repair by its kind and in words."""

    kind: str
    said: str


_DECODED = Mend("csv.encoding", "bytes that are no text are read as CP-1252")
_NULS = Mend("csv.nul", "NUL characters are dropped")
_MARKS = Mend("csv.bom", "byte order marks before records are dropped")
REPEATED = Mend("csv.header", "lines that repeat the header are dropped")
_PADDED = Mend("csv.fields", "missing fields at the end are null")
_TRIMMED = Mend("csv.surplus", "surplus empty fields at the end are dropped")
_STRAY = Mend("csv.quote", "stray quotes are taken as they stand")
Mended = tuple[Sequence[str], tuple[Mend, ...]]


class Mender:
    """Repairs records of one layout.

    Args:
        grammar: What a record is.
        width: How many fields it has.

    Example:
        >>> from prefect_etl.connectors.files.csv.layout import Layout
        >>> fields, mends = Mender(Grammar(Layout()), 3).mended("1,a")
        >>> fields[:2], mends[0].said
        (['1', 'a'], 'missing fields at the end are null')
    """

    def __init__(self, grammar: Grammar, width: int) -> None:
        self._grammar = grammar
        self._width = width
        quote, sign = re.escape(grammar.quote), re.escape(grammar.delimiter)
        self._loose = (
            re.compile(
                rf" *{quote}(?P<quoted>.*?){quote} *(?:(?P<end>{sign})|\Z)"
                rf"|(?P<plain>.*?)(?:(?P<last>{sign})|\Z)",
                re.DOTALL,
            )
            if quote
            else None
        )

    def mended(self, text: str) -> Mended | None:
        """A record's fields and what was done to it; None where nothing helps."""
        whole, mends = self._as_text(text)
        bare = whole.rstrip("\r\n")
        ways: tuple[Callable[[str], Sequence[str] | None], ...] = (
            self._strict,
            self._loosely,
            self._unquoted,
        )
        for way in ways:
            fields = way(bare)
            if fields is not None and (fitted := self._fitted(fields)) is not None:
                stray = () if way == self._strict else (_STRAY,)
                return fitted[0], (*mends, *stray, *fitted[1])
        return None

    @staticmethod
    def _as_text(text: str) -> tuple[str, tuple[Mend, ...]]:
        mends: tuple[Mend, ...] = ()
        if MARKED.search(text):
            text, mends = MARKED.sub(_decoded, text), (_DECODED,)
        if text.startswith(BOM):
            text, mends = text.lstrip(BOM), (*mends, _MARKS)
        if "\0" in text:
            text, mends = text.replace("\0", ""), (*mends, _NULS)
        return text, mends

    def _strict(self, text: str) -> Sequence[str] | None:
        token = self._grammar.record(text, 0)
        return None if token.fault or token.end < len(text) else token.fields

    def _loosely(self, text: str) -> Sequence[str] | None:
        """A quote closes a field only where the field ends."""
        if self._loose is None:
            return None
        fields, at = [], 0
        while True:
            found = self._loose.match(text, at)
            if found is None:
                return None
            quoted = found["quoted"]
            doubled = self._grammar.quote * 2
            inner = None if quoted is None else quoted.replace(doubled, self._grammar.quote)
            fields.append(found["plain"] if inner is None else inner)
            at = found.end()
            if not (found["end"] or found["last"]):
                return fields

    def _unquoted(self, text: str) -> Sequence[str] | None:
        return text.split(self._grammar.delimiter) if self._grammar.quote else None

    def _fitted(self, fields: Sequence[str]) -> Mended | None:
        surplus = fields[self._width :]
        if len(fields) == self._width:
            return fields, ()
        if not surplus:
            return [*fields, *[MISSING] * (self._width - len(fields))], (_PADDED,)
        return (fields[: self._width], (_TRIMMED,)) if not "".join(surplus).strip() else None


def _decoded(match: re.Match[str]) -> str:
    byte = ord(match[0]) - 0xDC00
    return bytes([byte]).decode("cp1252", "replace")
