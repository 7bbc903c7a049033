"""Leases of runs: an advisory lock that ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from prefect_etl.storage.durable import make_folder, storage_errors


class Lease:
    """Held while a run works; what the run left unfinished may be swept once it is free.

    Args:
        folder: Where leases are kept.
        run_id: The run's id.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Lease(Path(folder), "r1"):
        ...     is_alive(Path(folder), "r1"), is_alive(Path(folder), "r2")
        (True, False)
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self._path = folder / f"{run_id}.lock"
        self._descriptor: int | None = None
        with storage_errors("the lease of the run"):
            make_folder(folder)
            while self._descriptor is None:
                self._descriptor = _locked(self._path)

    def release(self) -> None:
        """Give it up; safe to call twice."""
        if self._descriptor is not None:
            try:
                self._path.unlink(missing_ok=True)
            finally:
                os.close(self._descriptor)
                self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock; None where the file was just taken for a dead run's."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    # Waits: whoever asks whether the run is alive holds the lock for an instant.
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except FileNotFoundError:
        pass
    os.close(descriptor)
    return None


def is_alive(folder: Path, run_id: str) -> bool:
    """Whether some process holds the run's lease."""
    try:
        descriptor = os.open(folder / f"{run_id}.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def remove_dead(folder: Path) -> None:
    """Remove the lock files of runs whose process is gone."""
    for path in folder.glob("*.lock"):
        with suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(path, os.O_RDWR)
            try:
                # Held while it is removed, so that a run which begins just now sees that it was.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)
