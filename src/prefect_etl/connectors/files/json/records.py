"""The records of a JSON file one after the other, and what stands in their place where one is none.

A line of JSON Lines that is no JSON is put aside alone. In a document nothing tells where the next
record begins: what stands before the fault is read, all from there on is one reject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prefect_etl.connectors.files.json.encoding import WINDOW
from prefect_etl.connectors.files.json.exact import (
    Fault,
    Reader,
    goes_on,
    skip_space,
    with_whole_pairs,
)
from prefect_etl.connectors.files.json.layout import Layout
from prefect_etl.connectors.files.json.quick import Trust
from prefect_etl.connectors.files.json.together import records_together

# A longer record is put aside: it, its text and its values must fit into memory together.
MOST_BYTES = 32 << 20
_SHOWN = 2000
_FEW = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A value that stands where a record is expected.

    Attributes:
        value: What was read; None with a fault.
        fault: Why it cannot be read.
        line: The line in which it begins, from 1.
        byte: The byte at which it begins, from 0, in UTF-8 and without a mark.
        text: It, or its beginning.
        doubled: Keys that came twice.
        mended: Whether what is no text in it was replaced.
        left: How many keys still lead from it to its records; None: all.
        rest: Of what ends the reading of a document: the bytes that are left.
    """

    value: Any
    fault: Fault | None
    line: int
    byte: int
    text: str
    doubled: tuple[str, ...] = ()
    mended: bool = False
    rest: int = 0
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """Records of lines that need no care."""

    values: list[dict[str, Any]]
    trust: Trust


def records(
    chunks: Iterable[bytes],
    layout: Layout,
    *,
    mend: bool,
    exact: bool,
    within: Sequence[str] = (),
) -> Iterator[Found | Together]:
    """All records of a file.

    Args:
        chunks: Its bytes, in UTF-8.
        layout: How they follow each other.
        mend: Whether bytes that are not UTF-8 are replaced.
        exact: Whether each number must be looked at, so that no records can be read together.
        within: Keys that lead to the records of a document, which is then never held whole.
    """
    if layout == "newline_delimited":
        return _lines(chunks, mend=mend) if exact else _pieces(chunks, mend=mend)
    return _Document(chunks, mend=mend).records(within)


def shown(text: bytes | str) -> str:
    r"""The beginning of a text, bytes that are no text as \xNN."""
    if isinstance(text, bytes):
        return text[:_SHOWN].decode("utf-8", "backslashreplace")
    return text[:_SHOWN].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _pieces(chunks: Iterable[bytes], *, mend: bool) -> Iterator[Found | Together]:
    """Lines together as far as they can be, in pieces that are halved where they cannot."""
    line, byte = 1, 0
    for piece in _whole_lines(chunks):
        waiting = [piece]
        while waiting:
            text = waiting.pop()
            lines = text.count(b"\n")
            small = len(text) <= 2 * WINDOW
            found = records_together(text) if small else None
            middle = text.find(b"\n", len(text) // 2) + 1
            if found is not None:
                yield Together(*found)
            elif small and lines > _FEW and 0 < middle < len(text):
                waiting += [text[middle:], text[:middle]]
                continue
            else:
                yield from _lines([text], mend=mend, first=line, start=byte)
            line, byte = line + lines, byte + len(text)


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces that end with a line's end."""
    parts: list[bytes] = []
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield b"".join([*parts, chunk[:cut]])
            parts = []
        parts.append(chunk[cut:])
    if any(parts):
        yield b"".join(parts)


def _lines(
    chunks: Iterable[bytes], *, mend: bool, first: int = 1, start: int = 0
) -> Iterator[Found]:
    reader = Reader()
    byte = start
    for line, text in enumerate(_split(chunks), first):
        if text.strip(b" \t\r\n"):
            yield _line(reader, text, line, byte, mend=mend)
        byte += len(text) + 1


def _line(reader: Reader, text: bytes, line: int, byte: int, *, mend: bool) -> Found:
    value: Any = None
    fault: Fault | None = None
    doubled: tuple[str, ...] = ()
    mended = False
    try:
        if len(text) > MOST_BYTES:
            raise too_long()
        decoded, mended = _decoded(text, byte, mend=mend)
        value = reader.value(decoded)
        doubled = tuple(reader.doubled)
        if mend and "\\u" in decoded:
            whole = with_whole_pairs(value)
            value, mended = whole, mended or whole != value
    except Fault as found:
        fault = found
        if found.rule == "json.syntax":
            fault = Fault(found.rule, f"{found.reason} at column {found.at + 1}", found.at)
    return Found(value, fault, line, byte, shown(text), doubled, mended)


def too_long() -> Fault:
    """The fault of a record that is too long."""
    return Fault("json.size", f"it is longer than {MOST_BYTES >> 20} MiB")


def _decoded(text: bytes, byte: int, *, mend: bool) -> tuple[str, bool]:
    """A line as text, and whether bytes of it were replaced."""
    try:
        return text.decode("utf-8"), False
    except UnicodeDecodeError as error:
        if mend:
            return text.decode("utf-8", "replace"), True
        at = byte + error.start
        reason = f"byte {at} of the file, 0x{text[error.start]:02X}, is not UTF-8"
        raise Fault("json.encoding", reason, error.start) from None


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their end; of one that is too long as much as shows that it is."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        if size <= MOST_BYTES:
            parts.append(first)
        size += len(first)
        if not others:
            continue
        yield b"".join(parts)
        yield from others[:-1]
        parts, size = [others[-1]], len(others[-1])
    if size:
        yield b"".join(parts)


class _Document:
    """One or more values, one after the other; the elements of a list in their own right."""

    def __init__(self, chunks: Iterable[bytes], *, mend: bool) -> None:
        self._chunks = iter(chunks)
        self._reader = Reader()
        self._mend = mend
        self._text = ""
        self._at = 0
        self._line, self._byte = 1, 0
        self._rest = b""
        self._over = False

    def records(self, within: Sequence[str]) -> Iterator[Found]:
        in_list = False
        try:
            while self._peek():
                if self._text[self._at] == "[":
                    in_list = True
                    self._pass(self._at + 1)
                    yield from self._elements()
                    in_list = False
                elif within and self._text[self._at] == "{":
                    in_list = True
                    yield from self._within(within)
                    in_list = False
                else:
                    yield self._record()
        except Fault as fault:
            yield self._ended(fault, in_list=in_list)

    def _within(self, keys: Sequence[str]) -> Iterator[Found]:
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
                yield from (replace(found, left=0) for found in self._elements())
            elif key == keys[0]:
                found = self._record()
                inner = None if found.fault else {key: found.value}
                yield replace(found, value=inner, left=len(keys))
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

    def _elements(self) -> Iterator[Found]:
        if self._peek() == "]":
            self._pass(self._at + 1)
            return
        while True:
            yield self._record()
            sign = self._peek()
            if sign == "]":
                self._pass(self._at + 1)
                return
            if sign != ",":
                raise Fault("json.syntax", "expecting ',' or ']' between records", self._at)
            self._pass(self._at + 1)

    def _record(self) -> Found:
        self._peek()
        line, byte = self._line, self._byte
        value, end = self._value()
        text = self._text[self._at : end]
        self._pass(end)
        doubled = tuple(self._reader.doubled)
        data = text.encode("utf-8", "surrogateescape")
        if self._mend or not text.isascii():
            found = _line(self._reader, data, line, byte, mend=self._mend)
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
        line, byte, text = self._line, self._byte, self._text[self._at : self._at + _SHOWN]
        where = self._text[self._at : fault.at]
        rest = len(self._text) - self._at + sum(map(len, self._chunks))
        if not text:
            reason = "the document ends before its end" if in_list else fault.reason
        else:
            at_line = line + where.count("\n")
            reason = f"{fault.reason} in line {at_line}; the document is not read from here on"
        return Found(None, Fault(fault.rule, reason, fault.at), line, byte, shown(text), rest=rest)
