"""The text of a file in blocks of whole lines; bytes that are no text are marked, not lost."""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

BLOCK = 4 << 20
# A single record may be as long as this, in characters; more is no table.
LONGEST = 128 << 20
_MARKS = "prefect_etl.marks"
# A byte that is no text stands as one character of this range: U+DC00 and the byte.
MARKED = re.compile("[\udc00-\udcff]")
# What a file in UTF-8 may begin with, as text; at the start of a line files were put together.
BOM = "\ufeff"
_BOMS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
_WIDE = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}


class Encoding:
    r"""How bytes become text and back, without the loss of a byte.

    Args:
        name: As Python names it.
        head: The first bytes of the file; they tell the order of bytes where the name does not.

    Example:
        >>> utf8 = Encoding("utf-8", b"")
        >>> utf8.text(b"a\xffb"), utf8.length("a\udcffb")
        ('a\udcffb', 3)
    """

    def __init__(self, name: str, head: bytes) -> None:
        name = codecs.lookup(name).name.removesuffix("-sig")
        if wide := _WIDE.get(name):
            big = wide.replace("-le", "-be")
            name = big if head.startswith(_BOMS[big]) else wide
        self.name = name
        bom = _BOMS.get(name, b"")
        self.bom = len(bom) if bom and head.startswith(bom) else 0
        self.wide = name.startswith(("utf-16", "utf-32"))
        self.line_feed, self.carriage_return = "\n".encode(name), "\r".encode(name)
        codecs.register_error(_MARKS, _marked)

    def text(self, data: bytes) -> str:
        """Bytes as text; those that are none as marks."""
        errors = "surrogateescape" if self.name == "utf-8" else _MARKS
        return data.decode(self.name, errors)

    def length(self, text: str) -> int:
        """How many bytes a text took."""
        if not self.wide and text.isascii():
            return len(text)
        marks = len(MARKED.findall(text))
        plain = MARKED.sub("", text) if marks else text
        return len(plain.encode(self.name)) + marks

    def whole_lines(self, data: bytes) -> int:
        """How many of some bytes are whole lines; a last CR may be half of a CRLF."""
        step = len(self.line_feed)
        ends = (
            _last(data, self.line_feed, len(data)),
            _last(data, self.carriage_return, len(data) - step),
        )
        return max(ends)


def _last(data: bytes, sign: bytes, end: int) -> int:
    """Where the last of a sign ends, at a place where a character begins; 0 where there is none."""
    step = len(sign)
    found = data.rfind(sign, 0, max(end, 0))
    while found > 0 and found % step:
        found = data.rfind(sign, 0, found + step - 1)
    return found + step if found >= 0 else 0


def _marked(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wide = error.encoding.replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32"))
    bad = error.object[error.start : error.end]
    # Of a pair of bytes that is no character the second may be a line end, or a delimiter.
    return "".join(chr(0xDC00 + b) if b > 0x7F or wide else chr(b) for b in bad), error.end


class Blocks:
    """The text of a stream.

    Args:
        stream: The file, decompressed.
        encoding: As Python names it.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        head = stream.read(4)
        self.encoding = Encoding(encoding, head)
        self._rest = head[self.encoding.bom :]

    def next(self, size: int) -> str | None:
        """Whole lines of about so many bytes, more where a line is longer; None at the end."""
        parts, known, end = [self._rest], len(self._rest), 0
        while True:
            data = self._stream.read(size)
            parts.append(data)
            known += len(data)
            if not data:
                whole = b"".join(parts)
                end = len(whole)
                break
            if known < size:
                continue
            whole = b"".join(parts)
            end = self.encoding.whole_lines(whole)
            if end or known > 4 * LONGEST:
                break
            parts, size = [whole], known  # twice as much
        if not end:
            end = len(whole)
        if not whole:
            return None
        self._rest = whole[end:]
        return self.encoding.text(whole[:end])
