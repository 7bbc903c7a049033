"""The task that Prefect runs for a pack: the user's task by name, tags, timeout and cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, cast

from prefect import Task
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.context import TaskRunContext
from prefect.utilities.callables import get_call_parameters

from prefect_etl.orchestration.partitions.packs import Pack, arun_pack, run_pack


@dataclass
class PackPolicy(CachePolicy):
    """The task's own cache policy, asked for each partition of a packed run.

    A packed run is found in the cache if all of its partitions would be.
    """

    task: Any = None
    own: CachePolicy | None = None

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        """One key of the keys of all partitions; None if one has none."""
        pack: Pack = inputs["pack"]
        if self.own is None:
            return None
        context = task_ctx.model_copy(update={"task": self.task})
        digest = hashlib.sha256()
        for _, _, value in pack.items:
            own = get_call_parameters(self.task.fn, (value,), dict(inputs["arguments"]))
            key = self.own.compute_key(context, own, flow_parameters, **kwargs)
            if key is None:
                return None
            digest.update(f"{len(key)}:{key}".encode())
        return digest.hexdigest()


def envelope(task: Task[..., Any]) -> Task[..., Any]:
    """The task whose runs are packs of partitions for the user's task.

    Its retries are left out: each partition has them.
    """
    policy = _policy(task)
    made = Task(
        arun_pack if task.isasync else run_pack,
        name=task.name,
        description=task.description,
        tags=task.tags,
        version=task.version,
        task_run_name=cast("Any", run_name),  # Prefect's protocol has more than it asks for
        timeout_seconds=task.timeout_seconds,
        log_prints=task.log_prints,
        cache_policy=policy or NO_CACHE,
        cache_expiration=task.cache_expiration if policy else None,
        refresh_cache=task.refresh_cache,
        persist_result=policy is not None,
        result_storage=task.result_storage if policy else None,
        result_serializer=_serializer(task) if policy else None,
        cache_result_in_memory=task.cache_result_in_memory,
        on_completion=task.on_completion_hooks,
        on_failure=task.on_failure_hooks,
        on_running=task.on_running_hooks,
    )
    # Prefect would show all packed runs of all tasks as runs of one.
    made.task_key = task.task_key
    return made


def _policy(task: Task[..., Any]) -> CachePolicy | None:
    policy = task.cache_policy
    if not task.persist_result:
        return None
    from prefect_etl.orchestration.caching.policy import Kept

    if not isinstance(policy, CachePolicy) or policy == NO_CACHE:
        return None
    made = PackPolicy(
        task=task,
        own=policy.within if isinstance(policy, Kept) else policy,
        key_storage=policy.key_storage,
        isolation_level=policy.isolation_level,
        lock_manager=policy.lock_manager,
    )
    return Kept.around(made) if isinstance(policy, Kept) else made


def _serializer(task: Task[..., Any]) -> Any:
    """The user's, if it takes any value: what is written is a list of results, not one of them."""
    chosen = task.result_serializer
    return chosen if "pickle" in str(getattr(chosen, "type", chosen)) else None


def run_name(parameters: dict[str, Any]) -> str:
    """What Prefect calls the run of a pack."""
    return str(parameters["pack"].name)
