"""The encoding of a JSON file, and its bytes as UTF-8.

RFC 8259 asks for UTF-8; older ones allowed UTF-16 and UTF-32, and said how to tell them apart by
the zero bytes of the first two characters, which are ASCII (RFC 4627, 3).
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from prefect_etl.errors import ConfigError, SourceReadError

WINDOW = 1 << 20
# The longer marks first: UTF-32's begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZEROS = {
    (True, True, True, False): "utf-32-be",
    (False, True, True, True): "utf-32-le",
    (True, False, True, False): "utf-16-be",
    (False, True, False, True): "utf-16-le",
}


def encoding_of(head: bytes, pinned: str | None) -> tuple[str, int]:
    """The encoding of a file by its first bytes, and the length of its mark.

    Raises:
        ConfigError: The one that is pinned is unknown.

    Example:
        >>> encoding_of('{"a": 1}'.encode("utf-16-le"), None), encoding_of(b"{}", "Latin-1")
        (('utf-16-le', 0), ('iso8859-1', 0))
    """
    marked = next(((name, len(mark)) for mark, name in _MARKS if head.startswith(mark)), None)
    if pinned is not None:
        name = _codec(pinned)
        fits = marked is not None and name in (marked[0], marked[0][:6])
        return marked if marked is not None and fits else (name, 0)
    if marked is not None:
        return marked
    zeros = tuple(byte == 0 for byte in head[:4])
    return _ZEROS.get(zeros, "utf-8") if len(zeros) == 4 else "utf-8", 0


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ConfigError(
            f"encoding: {name} is not known", hint="Name it as Python does: latin-1, utf-16, …"
        ) from None


def as_utf8(stream: BinaryIO, encoding: str, mark: int, position: str) -> Iterator[bytes]:
    """The bytes of a file as UTF-8, whatever they were; UTF-8 as it is, right or wrong.

    Raises:
        SourceReadError: Bytes are not in that encoding.
    """
    stream.read(mark)
    if encoding == "utf-8":
        while window := stream.read(WINDOW):
            yield window
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    at, window = mark, b"."
    while window:
        window = stream.read(WINDOW)
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(window, final=not window)
        except UnicodeDecodeError as error:
            raise SourceReadError(
                f"{position} is not in {encoding}: byte {at - pending + error.start}: "
                f"{error.reason}",
                hint="Say which it is with encoding:, or mend the file.",
            ) from error
        at += len(window)
        yield text.encode("utf-8", "surrogatepass")
