"""Writes that survive a power cut and are never seen half.

POSIX promises no more than this: a rename is atomic, data is safe after ``fsync`` of the file, and
a new or renamed name is safe after ``fsync`` of its folder (see ``fsync(2)`` and ``rename(2)``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path

from prefect_etl.errors import StorageError

_FULL = {ENOSPC, EDQUOT}


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Translate the operating system's errors.

    Args:
        what: The thing that is written or read, for the message.

    Raises:
        StorageError: Instead of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        hint = (
            "Free disk space and run again; nothing was published."
            if error.errno in _FULL
            else "Check that the path exists and may be written, then run again."
        )
        path = f" ({error.filename})" if error.filename else ""
        raise StorageError(f"{what}: {error.strerror or error}{path}", hint=hint) from error


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    sync_file(path)


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, durably."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def write_file(path: Path, text: str) -> None:
    """Write a new file, durable but for its name."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, text: str) -> None:
    """Write a file so that readers see the old content or the new, durably."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    write_file(temporary, text)
    publish(temporary, path)


def publish(temporary: Path, final: Path) -> None:
    """Give a complete, durable file or folder its final name, durably."""
    temporary.replace(final)
    sync_folder(final.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder so that no half of it can be taken for a whole."""
    if not path.name.startswith("."):
        hidden = path.with_name(f".gone-{path.name}")
        path.replace(hidden)
        path = hidden
    shutil.rmtree(path, ignore_errors=True)
