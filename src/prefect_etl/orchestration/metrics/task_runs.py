"""What became of the task runs of a flow run, as the server knows it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_PAGE = 200
_MOST = 10_000
_PATIENCE = 2.0
_PAUSE = 0.1
_QUIET = 2
TERMINAL = ("completed", "failed", "crashed", "cancelled")


@dataclass(frozen=True)
class TaskRuns:
    """Task runs by the type of their state, and how many more attempts than one they took."""

    states: Counter[str] = field(default_factory=Counter)
    retries: int = 0

    @property
    def settled(self) -> bool:
        """Whether all are over."""
        return not set(self.states) - set(TERMINAL)


def count_task_runs(
    client: SyncPrefectClient, flow_run_id: UUID, *, patience: float = _PATIENCE
) -> TaskRuns:
    """Count them.

    The server notes task runs after the fact, some 0.1 s later, so it is asked until nothing
    changes any more.

    Args:
        client: Of Prefect's API.
        flow_run_id: The flow run; task runs of its subflows are not counted.
        patience: Seconds after which what is known by then has to do.
    """
    until = time.monotonic() + patience
    found, quiet = _read(client, flow_run_id), 0
    while quiet < _QUIET and time.monotonic() < until:
        time.sleep(_PAUSE)
        now = _read(client, flow_run_id)
        quiet = quiet + 1 if now == found and now.settled else 0
        found = now
    return found


def _read(client: SyncPrefectClient, flow_run_id: UUID) -> TaskRuns:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.sorting import TaskRunSort

    states: Counter[str] = Counter()
    retries = 0
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    for offset in range(0, _MOST, _PAGE):
        page = client.read_task_runs(
            flow_run_filter=of_run, sort=TaskRunSort.ID_DESC, limit=_PAGE, offset=offset
        )
        for run in page:
            states[run.state_type.value.lower() if run.state_type else "pending"] += 1
            retries += max(run.run_count - 1, 0)
        if len(page) < _PAGE:
            break
    return TaskRuns(states, retries)
