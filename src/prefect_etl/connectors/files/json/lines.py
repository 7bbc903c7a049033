"""Records of JSON Lines: a line that is no JSON is put aside alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prefect_etl.connectors.files.json.encoding import WINDOW
from prefect_etl.connectors.files.json.exact import Fault, Reader, with_whole_pairs
from prefect_etl.connectors.files.json.found import MOST_BYTES, Found, Together, shown, too_long
from prefect_etl.connectors.files.json.together import records_together

# So few lines are not halved again.
_FEW = 8


def pieces(chunks: Iterable[bytes], *, mend: bool) -> Iterator[Found | Together]:
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
                values, trusted, doubled = found
                key = _doubled_key(text, doubled[0]) if doubled else ""
                yield Together(values, trusted, tuple(line + n for n in doubled), key)
            elif small and lines > _FEW and 0 < middle < len(text):
                waiting += [text[middle:], text[:middle]]
                continue
            else:
                yield from lines_of([text], mend=mend, first=line, start=byte)
            line, byte = line + lines, byte + len(text)


def _doubled_key(text: bytes, line: int) -> str:
    reader = Reader()
    reader.value(text.strip(b"\n").split(b"\n")[line].decode())
    return reader.doubled[0]


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


def lines_of(
    chunks: Iterable[bytes], *, mend: bool, first: int = 1, start: int = 0
) -> Iterator[Found]:
    """The records of some lines, each looked at.

    Args:
        chunks: The lines.
        mend: Whether bytes that are not UTF-8 are replaced.
        first: The number of the first line.
        start: And the byte at which it begins.
    """
    reader = Reader()
    byte = start
    for line, text in enumerate(_split(chunks), first):
        if text.strip(b" \t\r\n"):
            yield line_of(reader, text, line, byte, mend=mend)
        byte += len(text) + 1


def line_of(reader: Reader, text: bytes, line: int, byte: int, *, mend: bool) -> Found:
    """What a line, or a record that is looked at like one, holds."""
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
