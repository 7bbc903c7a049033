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
from uuid import uuid4

from prefect_etl.errors import StorageError

_FULL = {ENOSPC, EDQUOT}
TEMPORARY = ".tmp"
_RANDOM = 8


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
            "Free disk space and run again; it goes on where it ended."
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


def temporary_for(path: Path, run_id: str) -> Path:
    """A name beside a file for its next content; when the run is dead, anybody may remove it.

    Example:
        >>> run_of_temporary(temporary_for(Path("runs/r1.json"), "r1"))
        'r1'
    """
    return path.with_name(f".{uuid4().hex[:_RANDOM]}-{run_id}{TEMPORARY}")


def run_of_temporary(path: Path) -> str:
    """The run that made a temporary name."""
    return path.name[_RANDOM + 2 :].removesuffix(TEMPORARY)


def replace_file(path: Path, text: str, run_id: str) -> None:
    """Write a file so that readers see the old content or the new, durably.

    Args:
        path: The file.
        text: Its new content.
        run_id: The run that writes, whose lease is held.
    """
    make_folder(path.parent)
    temporary = temporary_for(path, run_id)
    try:
        write_file(temporary, text)
        publish(temporary, path)
    except BaseException:  # also Ctrl-C: nobody would sweep it while this run lives
        temporary.unlink(missing_ok=True)
        raise


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
