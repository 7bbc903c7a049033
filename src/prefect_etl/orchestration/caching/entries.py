"""The folder of kept results: one file a key; listing and clearing it. Needs no Prefect."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from prefect_etl.errors import StorageError
from prefect_etl.orchestration.caching.container import FileContent
from prefect_etl.orchestration.caching.result_file import expires_at, has_expired

# Below the result storage: beside Prefect's own files, never among them.
FOLDER = "prefect-etl"
SUFFIX = ".result"
LOCKS = "locks"
_TEMPORARY = ".tmp"
_YOUNG_SECONDS = 60.0


@dataclass(frozen=True)
class Entry:
    """One kept result.

    Attributes:
        path: Its file.
        bytes: The size of the file.
        task: The task's name; empty where the file is damaged.
        key: The cache key, whole.
        kind: What the value is: ``pandas.DataFrame``, ``dict``.
        created: When it was written.
        expires: From when on it is not used any more; None if it does not expire.
        expired: Whether that is past.
        damaged: The file is not whole, so it is never used.
    """

    path: Path
    bytes: int
    task: str = ""
    key: str = ""
    kind: str = ""
    created: datetime | None = None
    expires: datetime | None = None
    expired: bool = False
    damaged: bool = False


def file_name(key: str) -> str:
    """The name of a key's file, whatever is in the key.

    Example:
        >>> file_name("fetch:q1")
        '7e0efb7ce007f222e526f047463878f7.result'
    """
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32] + SUFFIX


def list_entries(folder: Path) -> list[Entry]:
    """All kept results of a folder, newest first.

    Args:
        folder: The result storage.

    Raises:
        StorageError: The folder cannot be read.
    """
    entries = [*_entries(folder)]
    return sorted(entries, key=lambda e: e.created.timestamp() if e.created else 0.0, reverse=True)


def clear_entries(folder: Path, *, task: str | None = None, expired: bool = False) -> list[Entry]:
    """Remove kept results, and what killed processes left of theirs.

    Safe beside running tasks: who reads a result has it already, and who writes one publishes it.

    Args:
        folder: The result storage.
        task: Of this task only.
        expired: Those only that have expired, or are damaged.

    Returns:
        What was removed.

    Raises:
        StorageError: A file cannot be removed.
    """
    removed = []
    for entry in _entries(folder):
        if task is not None and entry.task != task:
            continue
        if expired and not (entry.expired or entry.damaged):
            continue
        try:
            entry.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{entry.path} cannot be removed: {error.strerror}",
                hint="Check that the folder may be written.",
            ) from error
        removed.append(entry)
    sweep(folder / FOLDER)
    return removed


def _entries(folder: Path) -> Iterator[Entry]:
    try:
        paths = sorted((folder / FOLDER).iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"{folder / FOLDER} cannot be read: {error.strerror}",
            hint="Check that the folder may be read.",
        ) from error
    for path in paths:
        if path.suffix == SUFFIX:
            with suppress(FileNotFoundError):  # removed just now
                yield _entry(path)


def _entry(path: Path) -> Entry:
    size = path.stat().st_size
    try:
        with path.open("rb", buffering=0) as file:
            about: Any = FileContent(file).footer.about
        return Entry(
            path=path,
            bytes=size,
            task=about["task"],
            key=about["key"],
            kind=about["kind"],
            created=datetime.fromisoformat(about["created"]),
            expires=expires_at(about),
            expired=has_expired(about),
        )
    except FileNotFoundError:
        raise
    except (StorageError, OSError, KeyError, TypeError, ValueError):
        return Entry(path=path, bytes=size, damaged=True)


class Draft:
    """A result that is being written, and that nobody sees until it is published.

    Args:
        path: The file of the result.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_name(f"{path.stem}-{uuid4().hex[:8]}{_TEMPORARY}")
        self.file: BinaryIO = self._temporary.open("xb", buffering=2**16)
        # Held while it is written: what is not held is of a process that was killed.
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self.file, fcntl.LOCK_EX)

    def publish(self) -> None:
        """Make it the result of its key, in one step."""
        self._temporary.replace(self._path)
        self.file.close()

    def discard(self) -> None:
        """Remove it."""
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)
        with suppress(OSError):  # what a full disk did not take
            self.file.close()


def sweep(folder: Path) -> None:
    """Remove what killed processes were writing."""
    for path in folder.glob(f"*{_TEMPORARY}"):
        with suppress(OSError), path.open("rb") as file:
            if time.time() - path.stat().st_mtime < _YOUNG_SECONDS:
                continue  # made, and perhaps not locked yet
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
