"""Opens compressed files as what they were before, by what their names say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

_PACKED = {
    ".gz": "gzip",
    ".tgz": "gzip",
    ".zst": "zstd",
    ".bz2": "bz2",
    ".tbz2": "bz2",
    ".xz": "xz",
    ".txz": "xz",
}


def packing_of(name: str) -> str | None:
    """How a file is compressed, as its name says.

    Example:
        >>> packing_of("a.csv.gz"), packing_of("a.tbz2"), packing_of("a.csv")
        ('gzip', 'bz2', None)
    """
    return _PACKED.get(Path(name.lower()).suffix)


@contextmanager
def open_packed(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressed as its name says; several streams in one are one.

    Raises:
        OSError: While reading: it is truncated or corrupt.
    """
    packing = packing_of(path.name)
    if packing is None:
        with path.open("rb") as plain:
            yield plain
    elif packing in ("gzip", "zstd"):
        import pyarrow as pa

        with pa.input_stream(str(path), compression=packing) as stream:
            yield cast("BinaryIO", stream)
    else:
        with _by_python(path, packing) as stream:
            yield cast("BinaryIO", _Stream(stream))


def _by_python(path: Path, packing: str) -> BinaryIO:
    if packing == "bz2":
        import bz2

        return cast("BinaryIO", bz2.open(path))
    import lzma

    return cast("BinaryIO", lzma.open(path))


class _Stream:
    """Python's readers, with one error for what is damaged."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        import lzma

        try:
            return self._stream.read(size)
        except EOFError as error:
            raise OSError("it ends in the middle of its compressed data") from error
        except lzma.LZMAError as error:
            raise OSError(str(error)) from error
