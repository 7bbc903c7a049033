"""A flow run whose metrics this process records: from its first attempt to its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from shutil import rmtree
from typing import TYPE_CHECKING
from uuid import UUID

from prefect_etl.config.settings import Settings, load_settings
from prefect_etl.orchestration.metrics.artifact import artifact_key, create_table, table_rows
from prefect_etl.orchestration.metrics.elsewhere import collect_parts
from prefect_etl.orchestration.metrics.exporters import start_exporters
from prefect_etl.orchestration.metrics.own import (
    Facts,
    own_metrics,
    recall_success,
    remember_success,
)
from prefect_etl.orchestration.metrics.record import MetricsRecord, Outcome, RecordFolder
from prefect_etl.orchestration.metrics.returned import Returned
from prefect_etl.orchestration.metrics.task_runs import TaskRuns, count_task_runs
from prefect_etl.orchestration.metrics.usage import Usage
from prefect_etl.orchestration.metrics.watch import unwatch, watch
from prefect_etl.utils.metrics.runs import RunMetrics
from prefect_etl.utils.metrics.scopes import close_run, open_run

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.context import FlowRunContext

logger = logging.getLogger(__name__)

_FRESH_SECONDS = 5.0
PATIENCE = 10.0
_OVER: frozenset[Outcome] = frozenset({"completed", "failed", "cancelled", "crashed"})
_runs: dict[UUID, MeasuredRun] = {}


@dataclass
class MeasuredRun:
    """A flow run that is open.

    Attributes:
        tracked: Whether the flow asked for ``track_metrics``.
        attempt: Its number, from 1.
    """

    id: UUID
    flow: str
    name: str
    settings: Settings
    run: RunMetrics
    tracked: bool
    attempt: int = 1
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    outcome: Outcome = "running"
    returned: Returned = field(default_factory=Returned)
    usage: Usage = field(default_factory=Usage)
    _kept: float = 0.0
    _clock: float = field(default_factory=time.monotonic)
    _before: float = 0.0
    _ended: float | None = None

    @property
    def folder(self) -> RecordFolder:
        """Where its record is kept."""
        return RecordFolder.of(self.settings.home)

    @property
    def seconds(self) -> float:
        """Wall time from its start, that of its first attempt, to the end of the flow's function.

        What the record itself takes is not the flow's time.
        """
        return self._before + (self._ended or time.monotonic()) - self._clock

    def stop_clock(self) -> None:
        """The flow's function is over."""
        self._ended = time.monotonic()

    def go_on_from(self, earlier: MetricsRecord) -> None:
        """Go on from what an earlier attempt, in another process, kept."""
        self.started = earlier.started
        self._before = max((datetime.now(UTC) - earlier.started).total_seconds(), 0.0)
        self.run.restore(earlier.metrics)

    def look(self) -> None:
        """What is done four times a second."""
        self.usage.look()
        self.run.collect()
        if time.monotonic() - self._kept > _FRESH_SECONDS:
            self.keep()

    def keep(self) -> MetricsRecord:
        """Write the record as it is now."""
        self._kept = time.monotonic()
        record = MetricsRecord(
            str(self.id),
            self.flow,
            self.name,
            self.outcome,
            self.started,
            round(self.seconds, 3),
            self.attempt,
            tuple(self.run.as_list()),
        )
        self.folder.write(record)
        return record

    def finish(self, outcome: Outcome) -> None:
        """End the attempt: count, keep, show. What fails here is said in the log, no more."""
        from prefect.client.orchestration import get_client

        self.outcome = outcome
        self.run.collect()
        with ExitStack() as stack:
            self._finish(cache(lambda: stack.enter_context(get_client(sync_client=True))))

    def _finish(self, api: Callable[[], SyncPrefectClient]) -> None:
        over = self.outcome in _OVER
        self.keep()  # whatever becomes of the rest
        if over:
            _attempt(
                "what tasks on other machines recorded",
                lambda: collect_parts(api(), self.run, self.id),
            )
        if self.tracked and self.outcome != "paused":
            own_metrics(self.run, self._facts(api), self.outcome)
        record = self.keep()
        if not over:
            return
        unwatch(self.id)
        close_run(self.id)
        _runs.pop(self.id, None)
        if self.tracked and self.outcome == "completed":
            remember_success(self.folder, self.flow)
        rmtree(self.folder.exchange(self.id), ignore_errors=True)
        self.folder.sweep(self.settings.metrics_retention)
        if record.metrics:
            _attempt("the table of metrics in Prefect", lambda: self._show(api(), record))

    def _facts(self, api: Callable[[], SyncPrefectClient]) -> Facts:
        facts = Facts(
            self.seconds,
            self.attempt,
            self.returned.rows,
            self.returned.bytes,
            self.usage.peak_bytes,
            self.usage.cpu_seconds,
        )
        counted: list[TaskRuns] = []
        if self.outcome in {"completed", "failed"}:
            _attempt(
                "the count of task runs", lambda: counted.append(count_task_runs(api(), self.id))
            )
        return replace(facts, tasks=counted[0]) if counted else facts

    def _show(self, client: SyncPrefectClient, record: MetricsRecord) -> None:
        create_table(
            client,
            table_rows(record.metrics),
            self.id,
            key=artifact_key(self.flow),
            description=f"Metrics of the run {self.name} of {self.flow}: {record.outcome}.",
        )


def begin(context: FlowRunContext, *, tracked: bool) -> MeasuredRun | None:
    """Record this attempt of a flow run; None where there is no run.

    Raises:
        ConfigError: The settings are wrong.
    """
    if context.flow_run is None or context.flow is None:
        return None
    measured = _runs.get(context.flow_run.id) or _open(context, tracked=tracked)
    measured.attempt = max(context.flow_run.run_count, 1)
    measured.outcome, measured._ended = "running", None  # noqa: SLF001 - it is ours
    return measured


def _open(context: FlowRunContext, *, tracked: bool) -> MeasuredRun:
    flow_run, flow = context.flow_run, context.flow
    assert flow_run is not None  # noqa: S101 - asked by the caller
    assert flow is not None  # noqa: S101
    settings = load_settings()
    folder = RecordFolder.of(settings.home)
    exchange = folder.exchange(flow_run.id)
    try:
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        exchange.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a disk that refuses fails no flow
        logger.warning("Metrics of other processes cannot be collected in %s: %s", exchange, error)
    run = RunMetrics(str(flow_run.id), flow.name, exchange)
    measured = MeasuredRun(flow_run.id, flow.name, flow_run.name, settings, run, tracked)
    if flow_run.run_count > 1 and (earlier := folder.read(flow_run.id)):
        measured.go_on_from(earlier)
    start_exporters(settings)
    open_run(flow_run.id, run)
    if tracked:
        recall_success(run, folder)
    _runs[flow_run.id] = measured
    watch(flow_run.id, measured.look)
    return measured


def measured_run(flow_run_id: UUID) -> MeasuredRun | None:
    """The run, if this process records it."""
    return _runs.get(flow_run_id)


def finishing(measured: MeasuredRun, outcome: Outcome) -> Future[None]:
    """End an attempt in a thread of its own: whoever waits for the API, it is not the flow.

    Wait for the future for :data:`PATIENCE` seconds at most.
    """
    done: Future[None] = Future()
    context = copy_context()
    measured.stop_clock()

    def finish() -> None:
        try:
            context.run(measured.finish, outcome)
        except Exception:  # whatever it is, it is not the flow's
            logger.warning("The metrics of the run could not be kept", exc_info=True)
        done.set_result(None)

    threading.Thread(target=finish, name="prefect-etl-metrics-end", daemon=True).start()
    return done


def _attempt(what: str, act: Callable[[], object]) -> None:
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever Prefect's client raised: a picture of the run
        logger.warning("Without %s: %s", what, error)
