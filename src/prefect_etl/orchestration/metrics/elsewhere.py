"""Values of tasks that run where the flow run's folder is not, such as on another machine.

Such a process uploads what it wrote down, at the end of each task and every few seconds, as a table
of the flow run in Prefect's API. The flow's process, if it records the run, reads and removes the
tables at the end; otherwise they stay and show what the tasks recorded.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import zlib
from collections import deque
from collections.abc import Iterable
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect_etl.orchestration.metrics.artifact import create_table, table_rows
from prefect_etl.orchestration.metrics.watch import watch
from prefect_etl.utils.metrics.journal import Journal, JournalReader
from prefect_etl.utils.metrics.runs import RunMetrics

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import TaskRun
    from prefect.context import TaskRunContext

logger = logging.getLogger(__name__)

_KIND = "prefect-etl-journal"
_EVERY_SECONDS = 5.0
_AT_ONCE = 20_000
_PAGE = 200
_LARGEST = 64 << 20
_parts: dict[UUID, Part] = {}
_lock = Lock()


class Part:
    """What this process records for a flow run of another one."""

    def __init__(self, flow_run_id: UUID) -> None:
        self.id = flow_run_id
        self.run = RunMetrics(str(flow_run_id), journal=Journal(self._write))
        self._lines: deque[str] = deque()
        self._definitions: list[str] = []
        self._lock = Lock()
        self._uploaded = monotonic()
        self._tasks: set[int] = set()

    def _write(self, line: str) -> None:
        # Appending is atomic; each upload says the definitions again and so stands alone.
        (self._definitions if line.startswith("{") else self._lines).append(line)

    def look(self) -> None:
        """Upload what has come, every few seconds."""
        if monotonic() - self._uploaded > _EVERY_SECONDS:
            self.upload()

    def upload(self, task_run_id: UUID | None = None) -> None:
        """Upload what was written down since the last time."""
        with self._lock:
            self._uploaded = monotonic()
            while self._lines:
                lines = [self._lines.popleft() for _ in range(min(len(self._lines), _AT_ONCE))]
                # All definitions were written before the values that name them.
                self._send("".join([*self._definitions, *lines]).encode(), task_run_id)

    def _send(self, data: bytes, task_run_id: UUID | None) -> None:
        shown = RunMetrics()
        _replay(shown, data)
        from prefect.client.orchestration import get_client

        try:
            with get_client(sync_client=True) as client:
                create_table(
                    client,
                    table_rows(shown.as_list()),
                    self.id,
                    description="Metrics of a task that ran on another machine than its flow.",
                    task_run_id=task_run_id,
                    metadata={"kind": _KIND, "journal": _packed(data)},
                )
        except Exception as error:  # noqa: BLE001 - whatever the client raised: not the task's
            logger.warning("Metrics of a task could not be handed over: %s", error)

    def upload_after(self, context: TaskRunContext) -> None:
        """Upload when the task that calls is over."""
        task = context.task
        if id(task) in self._tasks:
            return
        self._tasks.add(id(task))

        def hand_over_metrics(_: Any, task_run: TaskRun, __: Any) -> Any:
            if task.isasync:
                return asyncio.to_thread(self.upload, task_run.id)
            return self.upload(task_run.id)

        # The task is this process' own copy.
        task.on_completion(hand_over_metrics)
        task.on_failure(hand_over_metrics)


def part_of(flow_run_id: UUID, context: TaskRunContext | None) -> RunMetrics:
    """What this process records for a flow run of another machine."""
    with _lock:
        if flow_run_id not in _parts:
            _parts[flow_run_id] = part = Part(flow_run_id)
            watch(part, part.look)
    part = _parts[flow_run_id]
    if context is not None:
        part.upload_after(context)
    return part.run


def collect_parts(client: SyncPrefectClient, run: RunMetrics, flow_run_id: UUID) -> None:
    """Record what was uploaded for this run, and remove it."""
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
    while True:
        found = client.read_artifacts(artifact_filter=of_run, limit=_PAGE)
        parts = [part for part in found if (part.metadata_ or {}).get("kind") == _KIND]
        for part in sorted(parts, key=lambda part: str(part.created)):
            _replay(run, _unpacked((part.metadata_ or {}).get("journal", "")))
            client.delete_artifact(part.id)
        if len(found) < _PAGE or not parts:
            return


def _replay(run: RunMetrics, data: bytes) -> None:
    values: Iterable[Any] = JournalReader().lines(data)
    for metric, tags, value, at in values:
        run.take(metric, tags, value, at)


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def _unpacked(text: str) -> bytes:
    # Anyone who may write to the API may have written this: no more than so much is unpacked.
    try:
        return zlib.decompressobj().decompress(base64.b64decode(text), _LARGEST)
    except (ValueError, zlib.error):
        logger.warning("Metrics that a task uploaded are damaged.")
        return b""
