"""What a record is in a layout: its fields, and where it ends."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prefect_etl.connectors.files.csv.layout import Layout

_END = r"\r\n|\r|\n|\Z"


@dataclass(frozen=True, slots=True)
class Token:
    """A record that was read, or why none was.

    Attributes:
        fields: Its fields, unquoted.
        end: Where the next one begins.
        fault: ``open`` where a quote is not closed before the text ends, ``stray`` where a closing
            quote is followed by something else; None where all is well.
    """

    fields: Sequence[str]
    end: int
    fault: Literal["open", "stray"] | None = None


class Grammar:
    r"""A layout as regular expressions.

    A field begins with a quote, blanks aside, or has no quotes that mean anything. An escape counts
    before a quote, a delimiter, a line end and another escape; elsewhere it is a character.

    Example:
        >>> Grammar(Layout()).record('1,"a ""b"", c"\n2,d', 0)
        Token(fields=['1', 'a "b", c'], end=15, fault=None)
        >>> Grammar(Layout()).record('1,"a" b\n2,d', 0).fault
        'stray'
        >>> Grammar(Layout(stray=True)).record('1,"5" pipe"', 0).fields
        ['1', '5" pipe']
    """

    def __init__(self, layout: Layout) -> None:
        self.quote, self.delimiter = layout.quote, layout.delimiter
        self.escape = layout.escape if layout.escape != layout.quote else ""
        sign, quote, escape = map(re.escape, (self.delimiter, self.quote, self.escape))
        blanks = "" if self.delimiter.startswith(" ") else " *+"
        end = f"(?P<end>{sign}|{_END})"
        plain = _run((self.delimiter, "\r", "\n"), self.escape)
        self._open: re.Pattern[str] | None = None
        if quote:
            body = _run((self.quote,), self.escape, f"{quote}{quote}")
            if layout.stray:
                # No further than its line: the next record's quotes would be taken for its own.
                body = _run((self.quote, "\r", "\n"), "", f"{quote}(?!{blanks}(?:{sign}|{_END}))")
            quoted = f"{blanks}{quote}(?P<quoted>{body}){quote}{blanks}(?={sign}|{_END})"
            plain = f"(?!{blanks}{quote}){plain}"
            self._field = re.compile(f"(?:{quoted}|(?P<plain>{plain})){end}")
            self._open = re.compile(rf"{blanks}{quote}{body}\Z")
        else:
            self._field = re.compile(f"(?P<quoted>(?!))?(?P<plain>{plain}){end}")
        usual = len(layout.quote) == len(layout.delimiter) == 1 and not self.escape
        self._dialect: Mapping[str, Any] | None = None
        if usual and not layout.stray and " " not in (self.delimiter, self.quote):
            self._dialect = {"delimiter": self.delimiter, "quotechar": self.quote, "strict": True}
        signs = "|".join(filter(None, (quote, sign, escape, r"\r\n", r"\r", r"\n")))
        doubled = f"{quote}(?P<doubled>{quote})|" if quote else "(?P<doubled>(?!))|"
        self._escaped = re.compile(f"{doubled}{escape}(?P<sign>{signs})") if escape else None
        self._special = re.compile(f"{escape}({signs})") if escape else None

    def is_plain(self, text: str) -> bool:
        """Whether nothing in a text is quoted or escaped."""
        return (not self.quote or self.quote not in text) and (
            not self.escape or self.escape not in text
        )

    def quick(self, line: str) -> Sequence[str] | None:
        """The fields of a line in the usual spelling, five times as fast; None: look closely."""
        if self._dialect is None or f" {self.quote}" in line or f"{self.quote} " in line:
            return None
        try:
            return next(csv.reader((line,), **self._dialect))
        except csv.Error:
            return None

    def record(self, text: str, start: int) -> Token:
        """The record that begins at a place."""
        fields: list[str] = []
        match, end = self._field.match, start
        while True:
            found = match(text, end)
            if found is None:
                is_open = self._open is not None and self._open.match(text, end)
                return Token(fields, end, "open" if is_open else "stray")
            quoted, plain, closed = found.group("quoted", "plain", "end")
            fields.append(self._literal(plain) if quoted is None else self._unquoted(quoted))
            end = found.end()
            if closed != self.delimiter:
                return Token(fields, end)

    def _unquoted(self, body: str) -> str:
        if self._escaped is None or self.escape not in body:
            return body.replace(self.quote * 2, self.quote)
        return self._escaped.sub(lambda m: m["doubled"] or m["sign"], body)

    def _literal(self, plain: str) -> str:
        if self._special is None or self.escape not in plain:
            return plain
        return self._special.sub(r"\1", plain)


def _run(stops: Sequence[str], escape: str, *more: str) -> str:
    """An expression for all text up to a sign; an escape takes what follows it along."""
    signs = (*stops, escape) if escape else tuple(stops)
    if all(len(sign) == 1 for sign in signs):
        text = f"[^{''.join(map(re.escape, signs))}]*+"
    else:
        text = f"(?:(?!{'|'.join(map(re.escape, signs))})[\\s\\S])*+"
    taken = [*more, *([rf"{re.escape(escape)}(?:\r\n|[\s\S]|\Z)"] if escape else [])]
    return f"{text}(?:(?:{'|'.join(taken)}){text})*+" if taken else text
