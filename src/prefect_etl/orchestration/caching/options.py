"""What a task's caching becomes, so that it is sound."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE, CachePolicy


def keep_soundly(task: Any) -> None:
    """Give a task that was just made our way to key and keep its results.

    Args:
        task: A task as Prefect made it of its options. One that never keeps a result stays as it
            is; so does one with a ``result_storage_key``, whose place and format are Prefect's.
    """
    policy = task.cache_policy
    if not isinstance(policy, CachePolicy) or policy == NO_CACHE:
        return
    from prefect_etl.orchestration.caching.policy import Kept

    task.cache_policy = Kept.around(policy)
