"""The file that is kept of a run's metrics, in the home folder."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from typing import Any, Literal
from uuid import uuid4

from prefect_etl.errors import ConfigError

logger = logging.getLogger(__name__)

Outcome = Literal["running", "retrying", "completed", "failed", "cancelled", "crashed", "paused"]
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class MetricsRecord:
    """What is kept of a flow run's metrics.

    Attributes:
        flow_run_id: As Prefect says it.
        flow: The flow's name.
        flow_run: The run's name.
        outcome: How the run ended, or its last attempt; ``running`` until then, and for ever where
            the process was killed.
        started: When, in UTC.
        seconds: Wall time up to the end, or to the last time that the file was written.
        attempt: Number of the attempt, from 1.
        metrics: Each a mapping with ``name``, ``kind``, ``unit``, ``tags``, ``time`` and ``value``;
            a histogram has ``count``, ``sum``, ``min``, ``max``, ``buckets`` and ``counts``.
    """

    flow_run_id: str
    flow: str
    flow_run: str
    outcome: Outcome
    started: datetime
    seconds: float
    attempt: int
    metrics: tuple[Mapping[str, Any], ...] = ()

    def value(self, name: str, **tags: str) -> float | None:
        """The value of a counter or gauge, or the sum of a histogram; None if there is none.

        Args:
            name: The full name: ``rows_total``, ``processing_time_seconds``.
            tags: All its tags.
        """
        for metric in self.metrics:
            if metric["name"] == name and metric["tags"] == tags:
                return float(metric["sum"] if metric["kind"] == "histogram" else metric["value"])
        return None

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self) | {"started": self.started.isoformat()}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> MetricsRecord:
        """From JSON text."""
        data = json.loads(text)
        data["started"] = datetime.fromisoformat(data["started"])
        data["metrics"] = tuple(data["metrics"])
        return cls(**data)


@dataclass(frozen=True, slots=True)
class RecordFolder:
    """The folder of all records: ``metrics`` in the home folder."""

    path: Path

    @classmethod
    def of(cls, home: Path) -> RecordFolder:
        """The one in a home folder."""
        return cls(home.expanduser().absolute() / "metrics")

    def record(self, flow_run_id: object) -> Path:
        """The file of a run."""
        return self.path / f"{flow_run_id}.json"

    def exchange(self, flow_run_id: object) -> Path:
        """The folder in which other processes hand over what they record; there while it runs."""
        return self.path / "open" / str(flow_run_id)

    def read(self, flow_run_id: object) -> MetricsRecord | None:
        """The record of a run, if there is one that can be read."""
        try:
            return MetricsRecord.from_json(self.record(flow_run_id).read_text("utf-8"))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, record: MetricsRecord) -> None:
        """Keep a record; one that cannot be kept fails nothing."""
        replace_text(self.record(record.flow_run_id), record.to_json())

    def sweep(self, days: float) -> None:
        """Remove records older than that, once a day."""
        marker, now = self.path / ".swept", time.time()
        try:
            if marker.exists() and now - marker.stat().st_mtime < _DAY:
                return
            marker.touch(mode=0o600)
            for path in [*self.path.glob("*.json"), *(self.path / "open").glob("*")]:
                if now - path.stat().st_mtime > max(days * _DAY, _DAY):
                    rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        except OSError as error:  # another process sweeps, too, or the disk refuses
            logger.debug("old metrics could not be removed: %s", error)


def replace_text(path: Path, text: str) -> None:
    """Write a file in one step; what cannot be written is said in the log."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        logger.warning("The metrics of the run cannot be kept in %s: %s", path, error)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_metrics(flow_run_id: object, home: Path | None = None) -> MetricsRecord:
    """The metrics that were kept of a flow run; those of a run that goes on are seconds old.

    Args:
        flow_run_id: As Prefect says it.
        home: The home folder; that of the settings if not given.

    Raises:
        ConfigError: Nothing was kept of this run, or no longer.
    """
    if home is None:
        from prefect_etl.config.settings import load_settings

        home = load_settings().home
    folder = RecordFolder.of(home)
    record = folder.read(flow_run_id)
    if record is None:
        raise ConfigError(
            f"no metrics of the flow run {flow_run_id} are in {folder.path}",
            hint="They are kept where the run's process was, for metrics_retention days.",
        )
    return record
