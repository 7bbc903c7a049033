"""What stands around every cache policy of our tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect.cache_policies import (
    DEFAULT,
    RUN_ID,
    TASK_SOURCE,
    CacheKeyFnPolicy,
    CachePolicy,
)
from prefect.context import FlowRunContext, TaskRunContext
from prefect.serializers import Serializer
from prefect.settings.context import get_current_settings
from prefect.transactions import IsolationLevel

from prefect_etl.errors import EtlError
from prefect_etl.orchestration.caching.frame_inputs import FrameInputs
from prefect_etl.orchestration.caching.keys import CallKey
from prefect_etl.orchestration.caching.serializer import ExactSerializer
from prefect_etl.orchestration.caching.store import CallStore, run_logger

_PREFECTS_SERIALIZER = "pickle"


@dataclass
class Kept(CachePolicy):
    """The key of the policy within, for a task whose results are kept our way.

    Prefect asks a policy for the key of a call before it looks for a result, with the context of
    the run; that is where the call gets its own result store. A task run that keeps no result has
    no key, so nothing is hashed for it.

    Args:
        within: The policy that makes keys.
    """

    within: CachePolicy | None = None

    @classmethod
    def around(cls, policy: CachePolicy) -> Kept:
        """This, around the policy that a task has; Prefect's own parts of it made sound."""
        if isinstance(policy, Kept):
            return policy
        theirs = None if policy.lock_manager is None else policy.isolation_level
        return cls(
            within=_sound(policy),
            key_storage=policy.key_storage,
            # Prefect then tells how each call ended, also where identical ones do not wait.
            isolation_level=theirs or IsolationLevel.SERIALIZABLE,
            lock_manager=policy.lock_manager,
        )

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        """The key of a call; None if its result is not to be kept, or has no key."""
        if self.within is None or not task_ctx.persist_result:
            return None
        try:
            key = self.within.compute_key(task_ctx, inputs, flow_parameters, **kwargs)
        except Exception as error:  # noqa: BLE001 - a user's function raises what it likes
            run_logger().error(
                "Task %r has no cache key, so its result is neither looked for nor kept: %s: %s",
                task_ctx.task.name,
                self._source(),
                _reason(error),
                exc_info=None if isinstance(error, EtlError) else error,
            )
            return None
        if not key:  # as Prefect takes it
            return None
        task_ctx.result_store = CallStore.of(
            task_ctx.result_store,
            key,
            task_ctx,
            other=_chosen_serializer(task_ctx),
            alone=_level(self.within) is not IsolationLevel.READ_COMMITTED,
        )
        return key

    def __sub__(self, other: str) -> CachePolicy:
        """The same, without one argument."""
        return self if self.within is None else self.around(self.within - other)

    def _source(self) -> str:
        if isinstance(self.within, CallKey):
            function: Any = self.within.function
            code = getattr(function, "__code__", None)
            where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
            return f"cache_key_fn {getattr(function, '__qualname__', function)!s}{where}"
        return f"cache policy {type(self.within).__name__}"


def _sound(policy: CachePolicy) -> CachePolicy:
    if policy is DEFAULT:
        return FrameInputs() + TASK_SOURCE + RUN_ID
    if isinstance(policy, CacheKeyFnPolicy):
        return CallKey(function=policy.cache_key_fn)
    return policy


def _level(policy: CachePolicy) -> IsolationLevel | None:
    return None if policy.isolation_level is None else IsolationLevel(policy.isolation_level)


def _chosen_serializer(context: TaskRunContext) -> Serializer[Any] | None:
    """The serializer that the user chose for the task, its flow or everything; None for ours."""
    flow_run = FlowRunContext.get()
    flow_says = flow_run is not None and flow_run.flow.result_serializer is not None  # type: ignore[union-attr]
    default = get_current_settings().results.default_serializer
    chosen = context.task.result_serializer is not None or flow_says
    if not chosen and default == _PREFECTS_SERIALIZER:
        return None
    serializer = context.result_store.serializer
    return None if isinstance(serializer, ExactSerializer) else serializer


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, EtlError) else f"{type(error).__name__}: {error}"
