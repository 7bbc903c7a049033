"""Identical calls compute once: the first holds a lock while it computes, the others wait.

The lock is the operating system's, on a file, so it holds between threads and processes of one
machine, and ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path

_FIRST_WAIT_SECONDS = 0.002
_LONGEST_WAIT_SECONDS = 0.1

# Which locks the calls around this one hold: a call inside another must not wait for it.
_AROUND: ContextVar[frozenset[Path]] = ContextVar("prefect_etl_flights", default=frozenset())
# Which thread of this process holds a lock: it would wait for itself.
_THREADS: dict[Path, int] = {}


class Flight:
    """The turn of one call among identical ones.

    Args:
        path: The file of the lock; its folder is made. None: identical calls do not wait.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor: int | None = None

    def begin(self) -> None:
        """Wait until no other call computes the same."""
        path = self._path
        if path is None or path in _AROUND.get() or _THREADS.get(path) == threading.get_ident():
            return
        while self._descriptor is None:
            descriptor = _opened(path)
            if descriptor is None:
                return
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                # A file system without locks, or too many: then identical calls compute twice.
                os.close(descriptor)
                return
            except BaseException:  # Ctrl-C while it waits
                os.close(descriptor)
                raise
            self._take(path, descriptor)

    async def abegin(self) -> None:
        """Wait as `begin` does, without stopping the event loop."""
        # No thread waits: a thousand waiting calls would leave none for the one that computes.
        import anyio

        path = self._path
        if path is None or path in _AROUND.get():
            return
        wait = _FIRST_WAIT_SECONDS
        while self._descriptor is None:
            descriptor = _opened(path)
            if descriptor is None:
                return
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                await anyio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
            except OSError:  # as above
                os.close(descriptor)
                return
            else:
                self._take(path, descriptor)

    def end(self) -> None:
        """Let the next one go on; safe to call twice."""
        path, descriptor = self._path, self._descriptor
        if path is None or descriptor is None:
            return
        self._descriptor = None
        _AROUND.set(_AROUND.get() - {path})
        _THREADS.pop(path, None)
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)

    def _take(self, path: Path, descriptor: int) -> None:
        # Who held it before has removed the file: this lock would be one that nobody sees.
        try:
            seen = os.fstat(descriptor).st_ino == path.stat().st_ino
        except FileNotFoundError:
            seen = False
        if not seen:
            os.close(descriptor)
            return
        self._descriptor = descriptor
        _AROUND.set(_AROUND.get() | {path})
        _THREADS[path] = threading.get_ident()


class NoLocks:
    """A lock manager for Prefect that locks nothing.

    What runs inside a call inherits its isolation level, which asks for a lock manager. A lock
    that is held until everything around has ended would make parallel calls inside wait forever.
    """

    def acquire_lock(
        self,
        key: str,  # noqa: ARG002 - Prefect's protocol, here and below
        holder: str,  # noqa: ARG002
        acquire_timeout: float | None = None,  # noqa: ARG002
        hold_timeout: float | None = None,  # noqa: ARG002
    ) -> bool:
        """Granted."""
        return True

    async def aacquire_lock(
        self,
        key: str,  # noqa: ARG002
        holder: str,  # noqa: ARG002
        acquire_timeout: float | None = None,  # noqa: ARG002
        hold_timeout: float | None = None,  # noqa: ARG002
    ) -> bool:
        """Granted."""
        return True

    def release_lock(self, key: str, holder: str) -> None:
        """Nothing is held."""

    def is_locked(self, key: str) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def is_lock_holder(self, key: str, holder: str) -> bool:  # noqa: ARG002
        """Always: nobody has to be waited for."""
        return True

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:  # noqa: ARG002
        """At once."""
        return True

    async def await_for_lock(
        self,
        key: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
    ) -> bool:
        """At once."""
        return True


def _opened(path: Path) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError:
        # A folder that may only be read still gives what it holds; writing will say the rest.
        return None
