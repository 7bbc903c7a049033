"""Progress of a run: bars on a terminal, plain lines elsewhere, both on stderr.

Nothing is shown of what takes under two seconds.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TextIO

from prefect_etl.reporting.numbers import count, rate, seconds, size

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import Task, TaskID

    from prefect_etl.pipeline.progress import Progress, Stage

QUIET_SECONDS = 2.0
_LINE_EVERY_SECONDS = 10.0


@contextmanager
def progress_display() -> Iterator[Progress]:
    """Show progress while the block runs: as bars if stderr is a terminal, else as lines."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with BarProgress() as bars:
            yield bars
    else:
        yield LineProgress(sys.stderr)


@dataclass
class _Doing:
    """One stage of one dataset or transformation, so far."""

    begun: float
    said: float
    total: int
    bytes: int = 0
    rows: int = 0


class LineProgress:
    """A line when a stage that took long is over, and now and then while it works.

    Args:
        stream: Where lines go.
        clock: Seconds that only grow.

    Example:
        >>> lines = LineProgress(sys.stdout, clock=iter([0.0]).__next__)
        >>> lines.started("extract", "flights", 0)
        >>> lines.finished("extract", "flights", 27004, 3.2)
        extract flights: 27,004 rows in 3.2 s
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._doing: dict[tuple[str, str], _Doing] = {}

    def started(self, stage: Stage, name: str, total_bytes: int) -> None:
        """A stage begins."""
        now = self._clock()
        with self._lock:
            self._doing[stage, name] = _Doing(now, now, total_bytes)

    def advanced(self, stage: Stage, name: str, bytes_done: int, rows_done: int) -> None:
        """So many bytes and rows more are done."""
        now = self._clock()
        with self._lock:
            doing = self._doing.get((stage, name))
            if doing is None:
                return
            doing.bytes += bytes_done
            doing.rows += rows_done
            if now - doing.said >= _LINE_EVERY_SECONDS:
                doing.said = now
                self._say(f"{stage} {name}: {_so_far(doing, now - doing.begun)}")

    def finished(self, stage: Stage, name: str, rows: int, seconds: float) -> None:
        """A stage is over."""
        with self._lock:
            self._doing.pop((stage, name), None)
            if seconds >= QUIET_SECONDS:
                self._say(f"{stage} {name}: {_rows(rows)} in {_duration(seconds)}")

    def _say(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class BarProgress:
    """A bar for each stage that takes long, with bytes and rows a second; all gone at the end."""

    def __init__(self) -> None:
        self._bars = _bars()
        self._lock = threading.Lock()
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Clear what was drawn."""
        self._bars.stop()

    def started(self, stage: Stage, name: str, total_bytes: int) -> None:
        """A stage begins."""
        task = self._bars.add_task(f"{stage} {name}", total=total_bytes or None, rows=0)
        with self._lock:
            self._tasks[stage, name] = task

    def advanced(self, stage: Stage, name: str, bytes_done: int, rows_done: int) -> None:
        """So many bytes and rows more are done."""
        with self._lock:
            task = self._tasks.get((stage, name))
            if task is None:
                return
            rows = self._bars.tasks[self._bars.task_ids.index(task)].fields["rows"] + rows_done
            self._bars.update(task, advance=bytes_done, rows=rows)

    def finished(self, stage: Stage, name: str, rows: int, seconds: float) -> None:  # noqa: ARG002 - the table at the end says it
        """A stage is over."""
        with self._lock:
            task = self._tasks.pop((stage, name), None)
        if task is not None:
            self._bars.remove_task(task)


def _bars() -> RichProgress:
    from rich.console import Console, RenderableType
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.text import Text

    class Done(TextColumn):
        def render(self, task: Task) -> Text:
            return Text(_task_so_far(task))

    class PatientProgress(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            """Only what has taken a while already."""
            slow = [task for task in self.tasks if (task.elapsed or 0.0) >= QUIET_SECONDS]
            yield self.make_tasks_table(slow)

    return PatientProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        Done(""),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=5,
    )


def _task_so_far(task: Task) -> str:
    doing = _Doing(0.0, 0.0, int(task.total or 0), int(task.completed), task.fields["rows"])
    elapsed = task.elapsed or 0.0
    return f"{_so_far(doing, elapsed)}, {_duration(elapsed)}"


def _so_far(doing: _Doing, elapsed: float) -> str:
    parts = []
    if doing.bytes:
        of = f" of {size(doing.total)}" if doing.total else ""
        parts.append(f"{size(doing.bytes)}{of}")
    if doing.rows:
        parts.append(_rows(doing.rows))
        speed = rate(doing.rows, elapsed).strip()
        parts.append(f"{speed} rows/s")
    return ", ".join(parts) or "working"


def _rows(number: int) -> str:
    return f"{count(number)} {'row' if number == 1 else 'rows'}"


_duration = seconds  # `seconds` is also what the protocol calls an argument
