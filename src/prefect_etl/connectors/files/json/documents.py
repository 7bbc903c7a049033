"""Records of a document: what stands before a fault is read, the rest is one reject.

Nothing tells where the next record begins.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from prefect_etl.connectors.files.json.elements import elements_together, ends_of
from prefect_etl.connectors.files.json.encoding import WINDOW
from prefect_etl.connectors.files.json.exact import Fault, Reader, goes_on, skip_space
from prefect_etl.connectors.files.json.found import (
    MOST_BYTES,
    SHOWN,
    Found,
    Together,
    shown,
    too_long,
)
from prefect_etl.connectors.files.json.lines import line_of

# So few elements are not read together: neither those that a list begins with, nor those that are
# left of a run with one that needs care.
_FIRST, _FEW = 64, 8
_LEAST, _MOST = 1 << 16, WINDOW >> 2


class Document:
    """One or more values, one after the other; the elements of a list in their own right."""

    def __init__(self, chunks: Iterable[bytes], *, mend: bool, together: bool = False) -> None:
        self._together = together
        self._chunks = iter(chunks)
        self._reader = Reader()
        self._mend = mend
        self._text = ""
        self._at = 0
        self._line, self._byte = 1, 0
        self._rest = b""
        self._over = False

    def records(self, within: Sequence[str]) -> Iterator[Found | Together]:
        """All of them; where keys are given, those of the lists to which they lead."""
        in_list = False
        try:
            while self._peek():
                if self._text[self._at] == "[":
                    in_list = True
                    self._pass(self._at + 1)
                    yield from self._elements(together=self._together and not within)
                    in_list = False
                elif within and self._text[self._at] == "{":
                    in_list = True
                    yield from self._within(within)
                    in_list = False
                else:
                    yield self._record()
        except Fault as fault:
            yield self._ended(fault, in_list=in_list)

    def _within(self, keys: Sequence[str]) -> Iterator[Found | Together]:
        """The records that an object holds under keys; its other values are passed over."""
        self._pass(self._at + 1)
        sign = self._peek()
        while sign != "}":
            key = self._skip()
            if self._peek() != ":":
                raise Fault("json.syntax", "expecting ':' after a key", self._at)
            self._pass(self._at + 1)
            sign = self._peek()
            if key == keys[0] and sign == "{" and keys[1:]:
                yield from self._within(keys[1:])
            elif key == keys[0] and sign == "[" and not keys[1:]:
                self._pass(self._at + 1)
                for found in self._elements(together=self._together):
                    yield replace(found, left=0) if isinstance(found, Found) else found
            elif key == keys[0]:
                other = self._record()
                inner = None if other.fault else {key: other.value}
                yield replace(other, value=inner, left=len(keys))
            else:
                self._skip()
            sign = self._peek()
            if sign not in (",", "}"):
                raise Fault("json.syntax", "expecting ',' or '}' after a value", self._at)
            if sign == ",":
                self._pass(self._at + 1)
                if self._peek() != '"':
                    raise Fault("json.syntax", "expecting a key", self._at)
        self._pass(self._at + 1)

    def _skip(self) -> Any:
        value, end = self._value()
        self._pass(end)
        return value

    def _elements(self, *, together: bool) -> Iterator[Found | Together]:
        if self._peek() == "]":
            self._pass(self._at + 1)
            return
        count, size, run = 0, _LEAST, _FIRST
        while True:
            if together and count >= _FIRST:
                run = yield from self._runs(size, run)
                size = min(2 * size, _MOST)
            yield self._record()
            count += 1
            if not self._goes_on():
                return

    def _goes_on(self) -> bool:
        """Whether another element follows."""
        sign = self._peek()
        if sign not in (",", "]"):
            raise Fault("json.syntax", "expecting ',' or ']' between records", self._at)
        self._pass(self._at + 1)
        return sign == ","

    def _runs(self, size: int, most: int) -> Generator[Found | Together, None, int]:
        """The elements that are all there in a piece of the text, but for the last.

        A run of them that cannot be read together is halved; the next one is twice as long.

        Args:
            size: The length of the piece.
            most: The most elements of the first run.

        Returns:
            How many the next run may have.
        """
        if len(self._text) - self._at < size:
            self._more(size)
        text = self._text[self._at : self._at + size]
        ends = ends_of(text)
        done, begin = 0, 0
        while done < len(ends):
            count = min(most, len(ends) - done)
            end = ends[done + count - 1]
            run = text[begin:end].encode("utf-8", "surrogateescape")
            found = elements_together(run)
            if found is None and count > _FEW:
                most = count // 2
                continue
            if found is None:
                for _ in range(count):
                    yield self._record()
                    self._goes_on()
            else:
                yield Together(*found)
                self._pass(self._at + end + 1 - begin)
            most, done, begin = max(most, 2 * count), done + count, end + 1
        return most

    def _record(self) -> Found:
        self._peek()
        line, byte = self._line, self._byte
        value, end = self._value()
        text = self._text[self._at : end]
        self._pass(end)
        doubled = tuple(self._reader.doubled)
        data = text.encode("utf-8", "surrogateescape")
        if self._mend or not _is_text(text):
            found = line_of(self._reader, data, line, byte, mend=self._mend)
            return replace(found, doubled=doubled)
        return Found(value, None, line, byte, shown(text), doubled)

    def _value(self) -> tuple[Any, int]:
        """The value that stands here; more is read until it is all there."""
        while True:
            try:
                value, end = self._reader.next(self._text, self._at)
            except Fault as fault:
                if self._over or not goes_on(fault, self._text):
                    raise
            else:
                # A number that ends where the text ends may have more digits.
                if self._over or end < len(self._text):
                    return value, end
            if len(self._text) - self._at > MOST_BYTES:
                raise too_long()
            self._more(len(self._text) - self._at)

    def _peek(self) -> str:
        """The next sign that is not white space; an empty text at the end."""
        while True:
            self._pass(skip_space(self._text, self._at))
            if self._at < len(self._text):
                return self._text[self._at]
            if self._over:
                return ""
            self._more(1)

    def _pass(self, end: int) -> None:
        passed = self._text[self._at : end]
        self._line += passed.count("\n")
        self._byte += len(passed if passed.isascii() else passed.encode("utf-8", "surrogateescape"))
        self._at = end

    def _more(self, wanted: int) -> None:
        parts, size = [self._text[self._at :]], 0
        while size < max(wanted, 1) and not self._over:
            chunk = next(self._chunks, None)
            self._over = chunk is None
            text = self._decoded(chunk or b"")
            parts.append(text)
            size += len(text)
        self._text, self._at = "".join(parts), 0

    def _decoded(self, chunk: bytes) -> str:
        """Text; of a character that is not all there, the bytes are kept for the next time."""
        whole = self._rest + chunk
        cut = len(whole)
        if not self._over:
            # A character has at most four bytes, all but the first of them from 0x80 to 0xBF.
            for back in range(1, min(4, len(whole)) + 1):
                byte = whole[-back]
                if byte >= 0xC0:
                    cut = len(whole) - back
                if byte & 0xC0 != 0x80:
                    break
        self._rest = whole[cut:]
        return whole[:cut].decode("utf-8", "surrogateescape")

    def _ended(self, fault: Fault, *, in_list: bool) -> Found:
        """The reject for all that is left."""
        line, byte, text = self._line, self._byte, self._text[self._at : self._at + SHOWN]
        where = self._text[self._at : fault.at]
        rest = len(self._text) - self._at + sum(map(len, self._chunks))
        if not text:
            reason = "the document ends before its end" if in_list else fault.reason
        else:
            at_line = line + where.count("\n")
            reason = f"{fault.reason} in line {at_line}; the document is not read from here on"
        return Found(None, Fault(fault.rule, reason, fault.at), line, byte, shown(text), rest=rest)


def _is_text(text: str) -> bool:
    """Whether there is nothing in it that was no UTF-8."""
    try:
        text.isascii() or text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
