"""Which files there are, and what they hold: names, sizes, digests, first lines."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path
from typing import BinaryIO

import xxhash

from prefect_etl.connectors.files.archives.packed import open_packed
from prefect_etl.connectors.files.config import (
    FilesConnection,
    FilesDataset,
    format_of,
)
from prefect_etl.connectors.files.positions import is_archive
from prefect_etl.connectors.files.walking import find_files
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceChangedError, SourceReadError

_WINDOW = 1 << 20
# A file written so shortly before it was read could change again within the clock's grain.
_FRESH_NS = 60_000_000_000


def list_files(folder: Path, dataset: FilesDataset) -> list[str]:
    """Paths of a dataset's files relative to the folder, sorted.

    Hidden files are left out; in a folder, so are files of no known format.

    Raises:
        SourceReadError: A folder cannot be listed, or a link leads out of it.
    """
    try:
        return _list(folder, dataset)
    except OSError as error:
        raise SourceReadError(
            f"dataset {dataset.name}: {error.filename} cannot be listed: {error.strerror or error}",
            hint="Give the user who runs this the right to read it, then run again.",
        ) from error


def _list(folder: Path, dataset: FilesDataset) -> list[str]:
    pattern = dataset.path
    target = folder / pattern
    if target.is_file():
        return [os.path.normpath(pattern)]
    if target.is_dir():
        below = find_files(target, "**/*")
        return [os.path.normpath(f"{pattern}/{p}") for p in below if _wanted(p, dataset)]
    return find_files(folder, pattern) if has_magic(pattern) else []


def _wanted(path: str, dataset: FilesDataset) -> bool:
    return dataset.format is not None or format_of(path) is not None or is_archive(path)


def described(config: FilesConnection) -> str:
    """To what a connection leads: a folder.

    Raises:
        SourceReadError: There is no such folder, or it cannot be listed.
    """
    try:
        found = sum(1 for _ in config.folder.iterdir())
    except OSError as error:
        raise SourceReadError(
            f"{config.folder} cannot be listed: {error.strerror or error}",
            hint="Check the path, and the right to read it.",
        ) from error
    return f"folder {config.folder}, {found} {'entry' if found == 1 else 'entries'}"


def glob_literal(path: str) -> str:
    """Spell a path so that no character of it is taken for a glob's.

    Example:
        >>> glob_literal("data[1].csv")
        'data[[]1].csv'
    """
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def observe(folder: Path, path: str, state: LedgerState) -> Unit:
    """The unit that a file is now; the digest is taken only where size and time do not tell.

    Raises:
        SourceReadError: The file cannot be read.
    """
    with _reading(path):
        status = (folder / path).stat()
        known = state.units.get(path)
        if known is not None and known.looks_same(status.st_size, status.st_mtime_ns):
            return known.unit
        version = _digest(folder / path)
    return Unit(path, version, size=status.st_size, modified_ns=status.st_mtime_ns)


def assert_unchanged(folder: Path, unit: Unit, read_at_ns: int) -> None:
    """Assert that a file is still what it was when it was observed.

    Args:
        folder: The connection's folder.
        unit: The file as it was observed.
        read_at_ns: When reading began.

    Raises:
        SourceChangedError: It is not, or it is gone.
    """
    path = folder / unit.position
    try:
        status = path.stat()
        size = status.st_size if unit.size is None else unit.size
        same = (status.st_size, status.st_mtime_ns) == (size, unit.modified_ns)
        # A link may have been led to another file, of the same size and time.
        fresh = read_at_ns - (unit.modified_ns or 0) < _FRESH_NS or path.is_symlink()
        if same and not (fresh and _digest(path) != unit.version):
            return
    except FileNotFoundError:
        pass
    raise SourceChangedError(
        f"{unit.position} changed while it was read", hint="Run again once it is written whole."
    )


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressed as its name says."""
    with open_packed(path) as stream:
        yield stream


def first_line(path: Path, name: str, skip: int) -> bytes:
    """A file's first line after ``skip`` lines; its head, where the line is very long."""
    with _reading(name), open_plain(path) as stream:
        head = stream.read(_WINDOW)
    lines = head.split(b"\n", skip + 1)
    return lines[skip].rstrip(b"\r") if len(lines) > skip else b""


def _digest(path: Path) -> str:
    state = xxhash.xxh3_128()
    window = bytearray(_WINDOW)
    view = memoryview(window)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(window):
            state.update(view[:size])
    return state.hexdigest()


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceReadError(
            f"{path} cannot be read: {error.strerror or error}",
            hint="Mend or remove the file, then run again; nothing of it was loaded.",
        ) from error


def now_ns() -> int:
    """The clock that modification times are compared with."""
    return time.time_ns()
