"""Finds leases, and tells whether the processes that made them live."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import ELOOP, ENOENT
from pathlib import Path

from prefect_etl.utils.resources.leases import (
    NEW,
    READY,
    STRANGERS,
    LeaseRecord,
    process_token,
    refuse_strangers,
    storage_errors,
)

# Between making a file and locking it a living process holds nothing.
_LEFT_OVER_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class FoundLease:
    """A lease file, as it was found.

    Attributes:
        path: The file.
        state: ``held`` by a living process; ``dead``; made ``elsewhere``, which only that machine
            can judge; or ``damaged``.
        record: What it says, unless it is damaged.
    """

    path: Path
    state: str
    record: LeaseRecord | None


def find_leases(folder: Path, *, own: bool = True) -> Iterator[FoundLease]:
    """All leases in a folder; a dead one is locked, for the caller alone, until the next one.

    Args:
        folder: Where they are.
        own: Also those of this process.

    Raises:
        StorageError: Strangers may write to the folder, or it cannot be read.
    """
    with storage_errors(folder):
        if not folder.is_dir():
            return
        refuse_strangers(folder)
        paths = sorted(folder.iterdir())
    for path in paths:
        if path.name.endswith(NEW):
            _sweep(path)
        elif path.name.endswith(READY) and (own or not path.name.startswith(process_token())):
            with storage_errors(path), _opened(path) as descriptor:
                found = None if descriptor is None else _judged(path, descriptor)
                if found is not None:
                    yield found


def _judged(path: Path, descriptor: int) -> FoundLease | None:
    record = _decoded(os.read(descriptor, os.fstat(descriptor).st_size))
    if not _lock(descriptor):
        return FoundLease(path, "held", record)
    if not os.fstat(descriptor).st_nlink:  # reaped by another before the lock was ours
        return None
    if record is None:
        return FoundLease(path, "damaged", None)
    return FoundLease(path, "dead" if record.near else "elsewhere", record)


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """The descriptor of a lease; None where it is gone, or no file of ours."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno not in (ENOENT, ELOOP):  # gone, or a link that is not ours
            raise
        yield None
        return
    try:
        found = os.fstat(descriptor)
        ours = found.st_uid == os.geteuid() and not found.st_mode & STRANGERS
        yield descriptor if ours and stat.S_ISREG(found.st_mode) and found.st_nlink else None
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep(path: Path) -> None:
    with suppress(FileNotFoundError), _opened(path) as descriptor:
        old = time.time() - path.lstat().st_mtime > _LEFT_OVER_SECONDS
        if descriptor is not None and old and _lock(descriptor):
            path.unlink()


def _decoded(content: bytes) -> LeaseRecord | None:
    try:
        record = LeaseRecord(**json.loads(content))
    except (ValueError, TypeError):
        return None
    texts = (record.module, record.name, record.file, record.host, record.boot)
    sound = all(isinstance(text, str) for text in texts) and isinstance(record.handle, dict)
    return record if sound else None
