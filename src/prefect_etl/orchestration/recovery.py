"""Which errors Prefect's retries are for: the type says so."""

from __future__ import annotations

from typing import Any

from prefect_etl.errors import EtlError, Retriable, VersionConflict


# A plain function: Prefect 3.8 takes a partial or a bound method for "never retry".
async def is_retriable(task: Any, task_run: Any, state: Any) -> bool:  # noqa: ARG001 - Prefect's signature
    """Whether the same call may succeed later.

    A lost race is not retried: what was prepared is stale and has to be planned again.
    """
    error = await state.aresult(raise_on_failure=False)
    if isinstance(error, EtlError):
        return isinstance(error, Retriable) and not isinstance(error, VersionConflict)
    return False
