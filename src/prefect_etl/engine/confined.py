"""An engine in a process of its own, for files that may be crafted to crash whoever reads them.

Its process has a share of the memory, and limits on processor time, time, and the size of what it
writes. Where it dies, the next request gets a new one. Nothing but JSON and files comes back.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

WORKER = Path(__file__).with_name("confined_worker.py")
_IDLE_SECONDS = 2.0
# Of one answer; what is larger is no answer to a question about a file's footer.
_ANSWER_BYTES = 256 << 20
# Beside the engine's memory, which it counts itself: what libraries, allocators and decoders take
# uncounted. Honest files leave most of it alone.
_BESIDE_BYTES = 512 << 20
_OUT_OF_MEMORY = "OutOfMemoryException"
_STACK_BYTES = 8 << 20
# What a process needs to start at all; the other variables may hold secrets.
_ENVIRONMENT = frozenset(
    ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "LANG")
)


class EndedError(Exception):
    """The process ended before it answered; says why in words."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take.

    Attributes:
        seconds: Of the processor, all threads together.
        wall_seconds: From question to answer.
        file_bytes: Of each file that is written.
    """

    seconds: float
    wall_seconds: float
    file_bytes: int

    @classmethod
    def reading(cls, size: int) -> Limits:
        """Limits for reading files of so many bytes: far more than honest ones take.

        Example:
            >>> Limits.reading(1_000_000).seconds
            9.0
        """
        seconds = 8 + size / 1e6
        return cls(seconds, 60 + 4 * seconds, (1 << 30) + 100 * size)

    @classmethod
    def asking(cls, size: int) -> Limits:
        """Limits for what footers say of files of so many bytes.

        Example:
            >>> Limits.asking(10_000_000).seconds
            4.5
        """
        seconds = 4 + size / 2e7
        return cls(seconds, 60 + 4 * seconds, 1 << 30)


class Confined:
    """A DuckDB instance in a process of its own, which answers one request after the other.

    Safe to use from several threads. The process starts with the first request, and ends when there
    was none for a while, or with the process that it belongs to.

    Args:
        config: DuckDB's settings.
        tries: Bytes of memory and threads to begin with, and those to go on with where that memory
            was not enough.
        busy: A context around each request, which is given what stops it: others may make room.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        tries: Sequence[tuple[int, int]],
        busy: Callable[[Callable[[], None]], AbstractContextManager[None]],
    ) -> None:
        self._config = config
        self._tries = list(tries)
        self._spill: str | None = config.get("temp_directory")
        self._busy = busy
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: threading.Timer | None = None

    def query(
        self, sql: str, limits: Limits, arrow: Path | None = None, frugal: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement and give all its rows.

        Args:
            sql: The statement.
            limits: What it may take.
            arrow: A file that it may read as the table ``_etl_stream``.
            frugal: What to run instead, where memory is not enough but for one thread; the same
                as ``sql``, where that is known before.

        Raises:
            EndedError: The process crashed, or went over a limit.
            duckdb.Error: The statement failed.
            OSError: A file is not what it should be.
        """
        of = None if arrow is None else str(arrow)
        return self.ask("query", limits, frugal=frugal, sql=sql, of=of)

    def ask(
        self, what: str, limits: Limits, *, frugal: str | None = None, **of: Any
    ) -> list[tuple[Any, ...]]:
        """Have one of the process's tasks done; see :meth:`query`."""
        request = {"do": what, "seconds": limits.seconds, "bytes": limits.file_bytes, **of}
        with self._lock:
            self._cancel_idle()
            if frugal is not None and frugal == of.get("sql") and self._tries[0][1] != 1:
                del self._tries[:-1]
                self._end()
            while True:
                if frugal is not None and self._tries[0][1] == 1:
                    request["sql"] = frugal
                line = json.dumps(request).encode() + b"\n"
                if "error" not in (answer := self._answer(line, limits.wall_seconds)):
                    break
                # An engine that met a crafted file is not asked of another: it may be damaged.
                self._end()
                kind, text = answer["error"]
                if kind != _OUT_OF_MEMORY or len(self._tries) == 1:
                    raise _raised(kind, text)
                del self._tries[0]
            self._idle = threading.Timer(_IDLE_SECONDS, self._retire)
            self._idle.daemon = True
            self._idle.start()
        return [tuple(row) for row in answer["rows"]]

    def _answer(self, request: bytes, seconds: float) -> dict[str, Any]:
        process = self._started()
        watch = _Watch(process, seconds)
        try:
            with self._busy(watch.stop), watch:
                return _exchange(process, request, watch)
        except BaseException:  # also Ctrl-C: what it does now nobody waits for
            self._end()
            raise

    def close(self) -> None:
        """End the process; a request that it works on fails."""
        if self._process is not None:
            _kill(self._process)
        with self._lock:
            self._cancel_idle()
            self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        self._process = subprocess.Popen(  # noqa: S603 our own interpreter
            [sys.executable, "-I", "-S", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            # Ctrl-C in a terminal is for the process that waits, which then ends this one.
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(self._setup()).encode() + b"\n")
        return self._process

    def _setup(self) -> dict[str, Any]:
        memory, threads = self._tries[0]
        return {
            "path": [entry for entry in sys.path if entry],
            "config": {**self._config, "memory_limit": f"{memory}B", "threads": threads},
            "data": 2 * memory + _BESIDE_BYTES + threads * _STACK_BYTES,
        }

    def _retire(self) -> None:
        # A request that came meanwhile has the lock, and starts the clock anew.
        if self._lock.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._lock.release()

    def _cancel_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _kill(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        process.wait()
        if self._spill is not None:
            rmtree(self._spill, ignore_errors=True)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}
    # Arrow's own allocator takes a gigabyte of addresses at once, which a limit counts.
    return kept | {"ARROW_DEFAULT_MEMORY_POOL": "system"}


class _Watch:
    """Ends a process that works for too long, or for nobody any more, and remembers which."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self._process = process
        self._timer = threading.Timer(seconds, self._end_late)
        self._timer.daemon = True
        self.late = self.stopped = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def stop(self) -> None:
        """Nobody waits for the answer any more."""
        self.stopped = True
        _kill(self._process)

    def _end_late(self) -> None:
        self.late = True
        _kill(self._process)


def _exchange(process: subprocess.Popen[bytes], request: bytes, watch: _Watch) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    with suppress(BrokenPipeError):
        process.stdin.write(request)
        process.stdin.flush()
    line = process.stdout.readline(_ANSWER_BYTES)
    if line.endswith(b"\n"):
        answer: dict[str, Any] = json.loads(line)
        return answer
    if watch.stopped:
        import duckdb

        raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")
    if watch.late:
        raise EndedError("reading it took too long")
    if line:
        raise EndedError("what it says of itself is larger than 256 MiB")
    raise EndedError(_why(process.wait()))


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.kill()


def _why(code: int) -> str:
    """What an exit code says of a death.

    Example:
        >>> _why(-11)
        'the process that read it crashed (SIGSEGV)'
    """
    if code >= 0:
        return f"the process that read it ended with code {code}"
    name = signal.Signals(-code).name
    if name == "SIGXCPU":
        return "reading it took too much processor time"
    if name == "SIGKILL":
        return "the process that read it was killed, as systems do where memory is short"
    return f"the process that read it crashed ({name})"


def _raised(kind: str, text: str) -> Exception:
    import duckdb

    found = getattr(duckdb, kind, None)
    if isinstance(found, type) and issubclass(found, duckdb.Error):
        return found(text)
    return OSError(text)
