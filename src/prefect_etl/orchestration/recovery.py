"""Which errors Prefect's retries are for: the type says so."""

from __future__ import annotations

from typing import Any

from prefect_etl.errors import Retriable, VersionConflict


def is_retriable(task: Any, task_run: Any, state: Any) -> bool:  # noqa: ARG001 - Prefect's call
    """Whether the same call may succeed later.

    A lost race is not retried: what was prepared is stale and has to be planned again. This is a
    plain function because Prefect 3.8 takes a partial or a bound method for "never retry".
    """
    return isinstance(state.data, Retriable) and not isinstance(state.data, VersionConflict)
