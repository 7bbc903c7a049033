"""The file of one result: sections of bytes, then a footer that says what they are.

::

    magic (8 bytes) | sections, each at a multiple of 64 bytes
    | footer, JSON | its length (8 bytes, big-endian) | its XXH3-128 | magic (8 bytes)

The footer lists the sections with offset, length and XXH3-128, so that half a file, or one with a
flipped bit, is told from a whole one. It is last because sections are written as they are made.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from prefect_etl.errors import StorageError

MAGIC = b"\x89PETLv1\n"
_ALIGNMENT = 64
_DIGEST = 16
_LARGE = 2**20
_TAIL = 8 + _DIGEST + len(MAGIC)


class DamagedError(StorageError):
    """The file of a result is not whole."""


@dataclass(frozen=True)
class Footer:
    """What the end of the file says.

    Attributes:
        about: Of the entry: key, task, times.
        tree: The value, with sections by their number.
        sections: Offset, length and digest of each.
    """

    about: Mapping[str, Any]
    tree: Any
    sections: list[tuple[int, int, str]]


class Sections:
    """Takes the sections of a file that is being written, one at a time.

    Args:
        file: Open for writing, at its beginning.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0
        self._found: list[tuple[int, int, str]] = []
        self._put(MAGIC)

    def add(self, write: Callable[[SectionFile], object]) -> int:
        """Write one section.

        Args:
            write: Writes it to the file that it gets.

        Returns:
            Its number.
        """
        self._put(b"\0" * (-self._position % _ALIGNMENT))
        section = SectionFile(self._file)
        write(section)
        self._found.append((self._position, section.length, section.digest()))
        self._position += section.length
        return len(self._found) - 1

    def add_bytes(self, data: bytes | memoryview) -> int:
        """Write bytes as one section; gives its number."""
        return self.add(lambda file: file.write(data))

    def finish(self, about: Mapping[str, Any], tree: Any) -> None:
        """Write the footer, after which the file is whole."""
        footer = {"about": dict(about), "tree": tree, "sections": self._found}
        text = json.dumps(footer, separators=(",", ":")).encode()
        self._put(text + len(text).to_bytes(8, "big") + _digest(text) + MAGIC)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._position += len(data)


class SectionFile:
    """The file as the writer of one section sees it: it counts and digests what passes.

    It has what Arrow and Polars ask of a Python file that is only written to.
    """

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        from xxhash import xxh3_128

        self._file = file
        self._hash = xxh3_128()
        self.length = 0

    def write(self, data: Any) -> int:
        """Write bytes, all of them."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self._file.write(view)
        self.length += view.nbytes
        return view.nbytes

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """The file goes on after the section."""

    def writable(self) -> bool:
        """It is written to."""
        return True

    def readable(self) -> bool:
        """It is not read."""
        return False

    def seekable(self) -> bool:
        """It goes forward only."""
        return False

    def digest(self) -> str:
        """XXH3-128 of what was written, in hex."""
        return str(self._hash.hexdigest())


class Content(ABC):
    """The file of a result that is being read, a section at a time.

    Args:
        size: Its bytes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._footer: Footer | None = None

    @property
    def footer(self) -> Footer:
        """What its end says.

        Raises:
            DamagedError: It is not whole, as far as its ends show.
            OSError: It cannot be read.
        """
        if self._footer is None:
            end = self._size - _TAIL
            if end < len(MAGIC) or self.read(0, len(MAGIC)) != MAGIC:
                raise DamagedError("it is no whole file of a result")
            tail = bytes(self.read(end, _TAIL))
            length = int.from_bytes(tail[:8], "big")
            if length > end:
                raise DamagedError("the end of the file is damaged")
            self._footer = _footer(bytes(self.read(end - length, length)), tail)
        return self._footer

    def __getitem__(self, number: int) -> memoryview:
        """A section, checked.

        Raises:
            DamagedError: It is not as it was written.
        """
        offset, length, digest = self.footer.sections[number]
        return _checked(self.read(offset, length), length, digest)

    def as_bytes(self, number: int) -> bytes:
        """A section, checked, for those who take nothing else than bytes."""
        offset, length, digest = self.footer.sections[number]
        section = self.read_bytes(offset, length)
        _checked(memoryview(section), length, digest)
        return section

    @abstractmethod
    def read(self, offset: int, length: int) -> memoryview:
        """Some bytes; fewer where the file ends."""

    def read_bytes(self, offset: int, length: int) -> bytes:
        """The same as an object of its own."""
        return bytes(self.read(offset, length))


class MemoryContent(Content):
    """A file that was read whole.

    Args:
        content: Its bytes.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(len(content))
        self._content = memoryview(content)

    def read(self, offset: int, length: int) -> memoryview:
        """Some bytes, not copied."""
        return self._content[offset : offset + length]


class FileContent(Content):
    """A file of this machine.

    It is read, not mapped: a mapped file that somebody cuts short kills the process.

    Args:
        file: Open for reading, without a buffer.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(os.fstat(file.fileno()).st_size)
        self._file = file

    def read(self, offset: int, length: int) -> memoryview:
        """Some bytes."""
        if length < _LARGE:
            return memoryview(self.read_bytes(offset, length))
        # NumPy asks for huge pages: five times as fast as bytes, which fault in every page.
        import numpy as np

        content = np.empty(length, dtype=np.uint8)
        filled = 0
        while count := os.preadv(self._file.fileno(), [content.data[filled:]], offset + filled):
            filled += count
        return content.data[:filled]

    def read_bytes(self, offset: int, length: int) -> bytes:
        """Some bytes, as Python has them."""
        content = os.pread(self._file.fileno(), length, offset)
        while 0 < len(content) < length:  # Linux reads at most 2 GiB at once
            more = os.pread(self._file.fileno(), length - len(content), offset + len(content))
            if not more:
                break
            content += more
        return content


def _checked(section: memoryview, length: int, digest: str) -> memoryview:
    from xxhash import xxh3_128_hexdigest

    if len(section) != length or xxh3_128_hexdigest(section) != digest:
        raise DamagedError("a part of the file is damaged")
    return section


def _footer(text: bytes, tail: bytes) -> Footer:
    if tail[-len(MAGIC) :] != MAGIC or _digest(text) != tail[8 : 8 + _DIGEST]:
        raise DamagedError("the end of the file is damaged")
    found = json.loads(text)
    sections = [(offset, length, digest) for offset, length, digest in found["sections"]]
    return Footer(found["about"], found["tree"], sections)


def _digest(text: bytes) -> bytes:
    from xxhash import xxh3_128_digest

    return bytes(xxh3_128_digest(text))
