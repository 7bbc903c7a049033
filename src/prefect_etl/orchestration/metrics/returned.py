"""Rows and bytes of what the task runs of a flow run return."""

from __future__ import annotations

import logging
import sys
from threading import Lock
from typing import TYPE_CHECKING, Any

from prefect_etl.core.frames import bytes_of_frame, is_frame, is_lazy, rows_of
from prefect_etl.core.report import RunReport

if TYPE_CHECKING:
    from prefect.context import FlowRunContext

logger = logging.getLogger(__name__)


class Returned:
    """Sums of rows and bytes."""

    def __init__(self) -> None:
        self.rows = 0
        self.bytes = 0
        self._lock = Lock()

    def add(self, value: object) -> None:
        """Count a frame; anything else has no rows."""
        rows, size = size_of(value)
        with self._lock:
            self.rows += rows
            self.bytes += size

    def finish(self, value: object) -> None:
        """Count what the flow itself returns: a pipeline's report, or frames that no task made."""
        if isinstance(value, RunReport) or not self.rows:
            for part in value if isinstance(value, list | tuple) else [value]:
                self.add(part)


def size_of(value: object) -> tuple[int, int]:
    """Rows and bytes of a frame in memory, or read by a pipeline; (0, 0) of anything else."""
    if isinstance(value, RunReport):
        return value.counts.read, sum(dataset.bytes for dataset in value.datasets)
    packs = sys.modules.get("prefect_etl.orchestration.partitions.packs")
    if packs is not None and isinstance(value, packs.Outcome):
        sizes = [size_of(result.value) for result in value.results]
        return sum(rows for rows, _ in sizes), sum(size for _, size in sizes)
    if not is_frame(value) or is_lazy(value):
        return 0, 0
    try:
        return rows_of(value) or 0, bytes_of_frame(value) or 0
    except Exception:  # whatever a frame raises: a measure must not fail a task
        logger.debug("a frame could not be measured", exc_info=True)
        return 0, 0


class _Results(dict[int, Any]):
    """Prefect's notes of which task run a value came from; counts the values as they are noted."""

    def __init__(self, known: dict[int, Any], returned: Returned) -> None:
        super().__init__(known)
        self._returned = returned

    def __setitem__(self, key: int, entry: Any) -> None:
        super().__setitem__(key, entry)
        _, run_type, reference = entry
        if getattr(run_type, "value", "") == "task_run" and reference is not None:
            self._returned.add(reference())


def observe(context: FlowRunContext, returned: Returned) -> None:
    """Count the frames that task runs return to this flow run, in the process of the flow.

    Prefect notes each result with its state, to track dependencies; there is no hook for all tasks
    of a flow. Where a later Prefect notes otherwise, a warning says that rows are not counted.
    """
    try:
        context.run_results = _Results(context.run_results, returned)
    except (AttributeError, ValueError) as error:
        logger.warning("Rows cannot be counted with this version of Prefect: %s", error)
