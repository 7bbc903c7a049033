"""The metrics that ``track_metrics=True`` adds, and the time of each flow's last success."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from prefect_etl.orchestration.metrics.record import Outcome, RecordFolder, replace_text
from prefect_etl.orchestration.metrics.task_runs import TERMINAL, TaskRuns
from prefect_etl.utils.metrics.runs import RunMetrics

PREFIX = "prefect_etl_flow_"
_SUCCESS = "last_success_timestamp_seconds"
_TEXTS = {
    "duration_seconds": "Wall time of the last run, from its first attempt.",
    "last_run_timestamp_seconds": "When the last run ended, in seconds since 1970.",
    _SUCCESS: "When a run completed last, in seconds since 1970.",
    "attempts": "Attempts of the last run.",
    "task_runs": "Task runs of the last run by the type of their state.",
    "task_retries": "Further attempts of the task runs of the last run.",
    "rows": "Rows of the frames that the task runs of the last run returned.",
    "bytes": "Bytes of the frames that the task runs of the last run returned.",
    "peak_memory_bytes": "Most memory of the process during the last run.",
    "cpu_seconds": "Processor time of the process during the last run.",
}


@dataclass(frozen=True)
class Facts:
    """What is known of a run at the end of an attempt."""

    seconds: float
    attempt: int
    rows: int
    bytes: int
    peak_bytes: int
    cpu_seconds: float
    tasks: TaskRuns | None = None


def own_metrics(run: RunMetrics, facts: Facts, outcome: Outcome) -> None:
    """Record what is known of a run among its metrics."""
    now = time.time()
    values = {
        "duration_seconds": facts.seconds,
        "attempts": facts.attempt,
        "rows": facts.rows,
        "bytes": facts.bytes,
        "peak_memory_bytes": facts.peak_bytes,
        "cpu_seconds": facts.cpu_seconds,
    }
    if outcome != "retrying":
        values["last_run_timestamp_seconds"] = now
        text = "Runs by outcome."
        run.recorder("counter", "prefect_etl_flow_runs", {"outcome": outcome}, description=text)(1)
    if outcome == "completed":
        values[_SUCCESS] = now
    if facts.tasks is not None:
        values["task_retries"] = facts.tasks.retries
        for state in sorted({*TERMINAL, *facts.tasks.states}):
            _set(run, "task_runs", facts.tasks.states[state], {"state": state})
    for name, value in values.items():
        _set(run, name, value)


def recall_success(run: RunMetrics, folder: RecordFolder) -> None:
    """Export the time of the flow's last success from the start, though it was in another process.

    It is how one sees that a job no longer succeeds.
    """
    try:
        moment = float(_success_file(folder, run.flow).read_text("utf-8"))
    except (OSError, ValueError):
        return
    _set(run, _SUCCESS, moment)


def remember_success(folder: RecordFolder, flow: str) -> None:
    """Keep the time of this success for the flow's next run."""
    replace_text(_success_file(folder, flow), repr(time.time()))


def _set(run: RunMetrics, name: str, value: float, tags: Mapping[str, str] | None = None) -> None:
    run.recorder("gauge", PREFIX + name, tags, description=_TEXTS[name])(value)


def _success_file(folder: RecordFolder, flow: str) -> Path:
    readable = re.sub(r"[^A-Za-z0-9]+", "-", flow)[:80]
    return folder.path / "flows" / f"{readable}-{sha256(flow.encode()).hexdigest()[:8]}"
