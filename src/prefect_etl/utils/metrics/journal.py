r"""How a process that is not the run's own hands over its values: it writes them down, one a line.

The run's process reads the lines as they come and records them as its own, so that there is one
place where values are added up. A line is written by one system call: a process that is killed
has handed over all that it recorded. Definitions are JSON, values are ``series value time``::

    {"series": 0, "name": "rows_total", "kind": "counter", "tags": {"table": "flights"}, …}
    0 1000.0 1767225600.123
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from time import time
from typing import Any, get_args
from uuid import uuid4

from prefect_etl.errors import ConfigError
from prefect_etl.utils.metrics.names import Kind, Tags, clean_tags, metric_name, unit_of
from prefect_etl.utils.metrics.series import Metric, Series

logger = logging.getLogger(__name__)

SUFFIX = ".journal"
_AT_ONCE = 1 << 22


class JournalSeries(Series):
    """A series whose values are written down for the run's process."""

    def __init__(
        self, metric: Metric, tags: Tags, number: int, write: Callable[[str], None]
    ) -> None:
        super().__init__(metric, tags)
        self._number = number
        self._write = write

    def record(self, value: float, at: float | None = None) -> None:
        """Write the value down."""
        self._write(f"{self._number} {float(value)!r} {at or time()!r}\n")


class Journal:
    """What one process writes down of all that it records for one run.

    Args:
        write: Takes a line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._series = 0

    def series(self, metric: Metric, tags: Tags) -> Series:
        """A series that writes its values here."""
        number, self._series = self._series, self._series + 1
        definition = {
            "series": number,
            "name": metric.name,
            "kind": metric.kind,
            "unit": metric.unit,
            "description": metric.description,
            "buckets": metric.buckets,
            "tags": dict(tags),
        }
        self._write(json.dumps(definition) + "\n")
        return JournalSeries(metric, tags, number, self._write)


class JournalWriter:
    """A file for the lines of one process.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: Path) -> None:
        host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())
        self.path = folder / f"{host}-{os.getpid()}-{uuid4().hex[:8]}{SUFFIX}"
        self._file: int | None = None
        self._lock = Lock()
        self._warned = False

    def write(self, line: str) -> None:
        """Append a line; one that cannot be written is lost with one warning."""
        try:
            if self._file is None:
                self._open()
            os.write(self._file, line.encode())  # type: ignore[arg-type] # it is open
        except OSError as error:  # a full disk, or the run is over: no reason to fail
            if not self._warned:
                self._warned = True
                logger.warning("Metrics cannot be written to %s: %s", self.path, error)

    def _open(self) -> None:
        with self._lock:
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                self._file = os.open(self.path, flags, 0o600)

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


class JournalReader:
    """Reads the lines of one journal, as they come."""

    def __init__(self) -> None:
        self._rest = b""
        self._series: dict[int, tuple[Metric, Tags]] = {}

    def lines(self, data: bytes) -> Iterator[tuple[Metric, Tags, float, float]]:
        """The values in what was read: metric, tags, value, time.

        A line that is not whole yet waits for the rest; a damaged one is left out.
        """
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            try:
                if line.startswith(b"{"):
                    self._define(json.loads(line))
                    continue
                number, value, at = line.split()
                metric, tags = self._series[int(number)]
                yield metric, tags, float(value), float(at)
            except (ValueError, KeyError, TypeError, ConfigError):
                logger.debug("a damaged line in a journal of metrics: %r", line)

    def _define(self, data: dict[str, Any]) -> None:
        name, kind = data["name"], data["kind"]
        # It may come through Prefect's API, so from anyone who may write there.
        if kind not in get_args(Kind) or metric_name(name, kind, None) != name:
            raise ValueError(name)
        buckets = tuple(map(float, data["buckets"]))
        metric = Metric(name, kind, unit_of(name), str(data["description"]), buckets)
        self._series[int(data["series"])] = metric, clean_tags(name, data["tags"])


class JournalFile:
    """A journal on this machine's disk, read from where the last reading ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._reader = JournalReader()

    def new_lines(self) -> Iterator[tuple[Metric, Tags, float, float]]:
        """The values that came since the last call."""
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            while data := stream.read(_AT_ONCE):
                self._offset += len(data)
                yield from self._reader.lines(data)
