"""The file of one result: sections of bytes, then a footer that says what they are.

::

    magic (8 bytes) | sections, each at a multiple of 64 bytes
    | footer, JSON | its length (8 bytes, big-endian) | its XXH3-128 | magic (8 bytes)

The footer lists the sections with offset, length and XXH3-128, so that half a file, or one with a
flipped bit, is told from a whole one. It is last because sections are written as they are made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
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


def read_footer(path: Path) -> Footer:
    """The footer of a file, without reading its sections.

    Raises:
        DamagedError: It is not whole, as far as its ends show.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < _TAIL + len(MAGIC):
            raise DamagedError("the file is too short")
        file.seek(size - _TAIL)
        tail = file.read(_TAIL)
        length = int.from_bytes(tail[:8], "big")
        if length > size - _TAIL:
            raise DamagedError("the end of the file is damaged")
        file.seek(size - _TAIL - length)
        return _footer(file.read(length), tail)


def read_content(path: Path) -> memoryview:
    """All bytes of a file.

    They are read, not mapped: a mapped file that somebody cuts short kills the process.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, 2)
        file.seek(0)
        if size < _LARGE:
            return memoryview(file.read())
        # NumPy asks for huge pages: five times as fast as `read`, which faults in every page.
        import numpy as np

        content = np.empty(size, dtype=np.uint8)
        view, filled = content.data, 0
        while count := file.readinto(view[filled:]):
            filled += count
        return view[:filled]


def parse_footer(content: memoryview) -> Footer:
    """The footer of a file that was read whole; see `read_footer`."""
    if len(content) < _TAIL + len(MAGIC) or content[: len(MAGIC)] != MAGIC:
        raise DamagedError("it is no file of a result")
    tail = bytes(content[-_TAIL:])
    end = len(content) - _TAIL
    length = int.from_bytes(tail[:8], "big")
    if length > end:
        raise DamagedError("the end of the file is damaged")
    return _footer(bytes(content[end - length : end]), tail)


def parse_sections(content: memoryview, footer: Footer) -> list[memoryview]:
    """The sections of a file that was read whole, each checked.

    Raises:
        DamagedError: A section is not as it was written.
    """
    from xxhash import xxh3_128_hexdigest

    sections = []
    for offset, length, digest in footer.sections:
        section = content[offset : offset + length]
        if len(section) != length or xxh3_128_hexdigest(section) != digest:
            raise DamagedError("a part of the file is damaged")
        sections.append(section)
    return sections


def _footer(text: bytes, tail: bytes) -> Footer:
    if tail[-len(MAGIC) :] != MAGIC or _digest(text) != tail[8 : 8 + _DIGEST]:
        raise DamagedError("the end of the file is damaged")
    found = json.loads(text)
    sections = [(offset, length, digest) for offset, length, digest in found["sections"]]
    return Footer(found["about"], found["tree"], sections)


def _digest(text: bytes) -> bytes:
    from xxhash import xxh3_128_digest

    return bytes(xxh3_128_digest(text))
