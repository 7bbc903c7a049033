"""Prefect's ``flow`` and ``task`` with all their options, at home on the shared local server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypedDict, TypeVar, Unpack, overload

from prefect.flows import FlowStateHook
from prefect.futures import PrefectFuture
from prefect.results import ResultSerializer, ResultStorage
from prefect.task_runners import TaskRunner
from prefect.tasks import TaskOptions

from prefect_etl.core.retry import RetryPolicy
from prefect_etl.orchestration.etl_flow import EtlFlow
from prefect_etl.orchestration.etl_task import EtlTask

P = ParamSpec("P")
R = TypeVar("R")
Hooks = list[FlowStateHook[..., Any]] | None
Runner = TaskRunner[PrefectFuture[Any]]


class FlowOptions(TypedDict, total=False):
    """The options of Prefect's ``flow``, under their own names."""

    name: str | None
    version: str | None
    flow_run_name: Callable[[], str] | str | None
    retries: int | None
    retry_delay_seconds: float | None
    task_runner: type[Runner] | Runner | None
    description: str | None
    timeout_seconds: float | None
    validate_parameters: bool
    persist_result: bool | None
    result_storage: ResultStorage | str | None
    result_serializer: ResultSerializer | None
    cache_result_in_memory: bool
    log_prints: bool | None
    on_completion: Hooks
    on_failure: Hooks
    on_cancellation: Hooks
    on_crashed: Hooks
    on_running: Hooks
    track_metrics: bool
    retry: RetryPolicy | None


class EtlTaskOptions(TaskOptions, total=False):
    """The options of Prefect's ``task``, and ours."""

    retry: RetryPolicy | None


class FlowDecorator:
    """Make a function a flow: ``@flow`` or ``@flow(...)`` with Prefect's own options.

    Example:
        >>> @flow(name="load", retries=2)
        ... def load(day: str) -> int:
        ...     return len(day)
        >>> load.with_options(retries=0).name
        'load'
    """

    from_source = staticmethod(EtlFlow.from_source)

    @overload
    def __call__(self, fn: Callable[P, R], /) -> EtlFlow[P, R]: ...

    @overload
    def __call__(
        self, fn: None = None, /, **options: Unpack[FlowOptions]
    ) -> Callable[[Callable[P, R]], EtlFlow[P, R]]: ...

    def __call__(
        self, fn: Callable[P, R] | None = None, /, **options: Any
    ) -> EtlFlow[P, R] | Callable[[Callable[P, R]], EtlFlow[P, R]]:
        """Make ``fn`` a flow, or give the decorator that does."""
        if fn is None:
            return lambda function: EtlFlow(function, **options)
        return EtlFlow(fn, **options)


flow = FlowDecorator()


@overload
def task(fn: Callable[P, R], /) -> EtlTask[P, R]: ...


@overload
def task(
    fn: None = None, /, **options: Unpack[EtlTaskOptions]
) -> Callable[[Callable[P, R]], EtlTask[P, R]]: ...


def task(
    fn: Callable[P, R] | None = None, /, **options: Any
) -> EtlTask[P, R] | Callable[[Callable[P, R]], EtlTask[P, R]]:
    """Make a function a task: ``@task`` or ``@task(...)`` with Prefect's own options.

    ``on_commit`` and ``on_rollback``, which Prefect takes in its class only, are options too.

    Example:
        >>> @task(retries=3)
        ... def fetch(page: int) -> str:
        ...     return f"page {page}"
        >>> fetch.with_options(name="fetch page").retries
        3
    """
    # The decorator's default in Prefect, unlike the class's: as the flow says.
    options.setdefault("log_prints", None)
    if fn is None:
        return lambda function: EtlTask(function, **options)
    return EtlTask(fn, **options)
