"""Leases of resources: a file each, which outlives a killed process and says what it left open.

A lease is held by an advisory lock (``flock``) on its file. The kernel gives the lock up when the
process ends, however it ends, so neither a reused process id nor a reboot takes a dead process
for a living one. The file is durable before the resource is used.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect_etl.errors import ConfigError, StorageError

NEW, READY = ".new", ".json"
STRANGERS = stat.S_IWGRP | stat.S_IWOTH
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a lease says.

    Attributes:
        module: The module of the resource's class.
        name: The class in it.
        file: The module's file; empty where it has none.
        host: The machine's name.
        boot: The running kernel's own id; empty where it has none.
        pid: The process, for people: nothing is decided by it.
        opened: When, in seconds since 1970.
        handle: What the class needs to find again what it opened.
    """

    module: str
    name: str
    file: str
    host: str
    boot: str
    pid: int
    opened: float
    handle: Mapping[str, Any]

    @property
    def near(self) -> bool:
        """Whether it was made on this machine, by its name or within its present run."""
        return self.host == socket.gethostname() or bool(self.boot and self.boot == boot_id())


def new_record(module: str, name: str, file: str, handle: Mapping[str, Any]) -> LeaseRecord:
    """The record of a lease of this process."""
    host = socket.gethostname()
    return LeaseRecord(module, name, file, host, boot_id(), os.getpid(), time.time(), handle)


@cache
def boot_id() -> str:
    """The running kernel's id, the same in all containers on it; empty where there is none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def lease_folder() -> Path:
    """Where leases are: under ``PREFECT_ETL_HOME`` or ``~/.prefect_etl``."""
    home = Path(os.environ.get("PREFECT_ETL_HOME") or "~/.prefect_etl")
    return home.expanduser().absolute() / "leases"


class Lease:
    """A lease that this process holds.

    Args:
        record: What it says.
        folder: Where it is kept; made for its owner only.

    Raises:
        StorageError: The folder cannot be written, or strangers may write to it.
        ConfigError: The handle is not JSON.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     folder = Path(place, "leases")
        ...     lease = Lease(new_record("shop", "Scratch", "", {"schema": "tmp_1"}), folder)
        ...     kept = len(list(folder.iterdir()))
        ...     lease.remove()
        ...     kept, len(list(folder.iterdir()))
        (1, 0)
    """

    def __init__(self, record: LeaseRecord, folder: Path) -> None:
        self.record = record
        self._path = folder / f"{process_token()}-{uuid4().hex}{READY}"
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            refuse_strangers(folder)
            self._descriptor = self._write(record)
        _HELD.add(self)

    def rewrite(self, record: LeaseRecord) -> None:
        """Say something else, in one durable step."""
        with storage_errors(self._path.parent):
            older, self._descriptor = self._descriptor, self._write(record)
        os.close(older)
        self.record = record

    def remove(self) -> None:
        """Give it up: what it stood for is gone."""
        if self._descriptor < 0:
            return
        # Not made durable: after a power cut the handle is reaped once more, which does no harm.
        with suppress(FileNotFoundError):
            self._path.unlink()
        self.leave()

    def leave(self) -> None:
        """Give the lock up and leave the file, so that somebody reaps what could not be closed."""
        _HELD.discard(self)
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _write(self, record: LeaseRecord) -> int:
        text = _encoded(record)
        temporary = self._path.with_name(f".{uuid4().hex}{NEW}")
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, text)
            os.fsync(descriptor)
            temporary.replace(self._path)
            _sync_names(self._path.parent)
        except BaseException:  # also Ctrl-C: nothing may be left that nobody holds
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        return descriptor


_HELD: set[Lease] = set()


@cache
def process_token() -> str:
    """A random name of this process, which tells its own leases from all others."""
    os.register_at_fork(after_in_child=_forget_held)
    return uuid4().hex[:12]


def _forget_held() -> None:
    # The child of a fork shares its parent's locks, and would keep them when the parent is killed.
    for lease in list(_HELD):
        lease.leave()
    process_token.cache_clear()


def refuse_strangers(folder: Path) -> None:
    """Refuse a folder that another user could put a lease in: a lease names code to call.

    Raises:
        StorageError: It belongs to somebody else, or others may write to it.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise StorageError(
            f"{folder}, where leases of resources are kept, is not a folder of this user",
            hint="Set PREFECT_ETL_HOME to a folder of your own.",
        )
    if found.st_mode & STRANGERS:
        raise StorageError(
            f"{folder}, where leases of resources are kept, can be written by other users",
            hint=f"Make it yours alone: chmod 700 {folder}",
        )


def _encoded(record: LeaseRecord) -> bytes:
    try:
        return json.dumps(asdict(record), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the handle of {record.name} cannot be kept as JSON: {error}",
            hint="Give a mapping of texts, numbers, lists and mappings.",
        ) from error


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate the operating system's errors into ours."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the leases of resources: {error.strerror or error} ({error.filename or path})",
            hint="Check that the folder exists and may be written, or set PREFECT_ETL_HOME.",
        ) from error


def _sync_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
