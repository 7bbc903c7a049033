"""Prefect's ``flow`` and ``task`` with all their options, at home on the shared local server.

A flow or task that is called where no API is configured uses the local server that all processes
of the user share; plain Prefect would start a server for this one call, and wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar, Unpack, cast, overload

from prefect import Flow, Task
from prefect.context import FlowRunContext, TaskRunContext
from prefect.flows import FlowStateHook
from prefect.futures import PrefectFuture
from prefect.results import ResultSerializer, ResultStorage
from prefect.task_runners import TaskRunner
from prefect.tasks import TaskOptions
from prefect.utilities.visualization import get_task_viz_tracker

from prefect_etl.orchestration.server.lifecycle import ensure_server
from prefect_etl.orchestration.server.use import point_at, use_server

P = ParamSpec("P")
R = TypeVar("R")
Hooks = list[FlowStateHook[..., Any]] | None
Runner = TaskRunner[PrefectFuture[Any]]
# What JSON has, and no subclass: an enumeration of texts is none of them.
_PLAIN = (str, int, bool, type(None))


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


class EtlFlow(Flow[P, R]):
    """Prefect's flow; the class stays the same through ``with_options``."""

    def with_options(self, **options: Any) -> EtlFlow[P, R]:
        """Copy the flow with some options changed, as Prefect does."""
        # Prefect names its own class there; the copy differs from ours by nothing else.
        changed = super().with_options(**options)
        changed.__class__ = type(self)
        return cast("EtlFlow[P, R]", changed)

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters as the API stores them; plain values are already what Prefect would send."""
        # Prefect's encoder is FastAPI's, whose import takes a tenth of a second.
        if all(map(_is_plain, parameters.values())):
            return dict(parameters)
        return super().serialize_parameters(parameters)

    if not TYPE_CHECKING:  # type checkers see the overloads of Prefect

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Run the flow, on the shared local server if no API is configured."""
            defer = self.isasync and not self.isgenerator
            return _served(lambda: Flow.__call__(self, *args, **kwargs), defer=defer)


class EtlTask(Task[P, R]):
    """Prefect's task; the class stays the same through ``with_options``."""

    def with_options(self, **options: Any) -> EtlTask[P, R]:
        """Copy the task with some options changed, as Prefect does."""
        changed = super().with_options(**options)
        changed.__class__ = type(self)
        return cast("EtlTask[P, R]", changed)

    if not TYPE_CHECKING:  # type checkers see the overloads of Prefect

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Run the task, on the shared local server if no API is configured."""
            defer = self.isasync and not self.isgenerator
            return _served(lambda: Task.__call__(self, *args, **kwargs), defer=defer)

        def apply_async(self, *args: Any, **kwargs: Any) -> Any:
            """Leave the task to a worker, through the shared server if no API is configured."""
            return _served(lambda: Task.apply_async(self, *args, **kwargs))


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
    fn: None = None, /, **options: Unpack[TaskOptions]
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


def _is_plain(value: Any) -> bool:
    parts = value if type(value) is list else [value]
    return all(type(part) in _PLAIN for part in parts)


def _served(call: Callable[[], Any], *, defer: bool = False) -> Any:
    """Make the call with an API to talk to.

    Args:
        call: What to do in Prefect.
        defer: It gives an awaitable: wait for the server there, without stopping the event loop.
    """
    if _within_a_run():
        return call()
    if defer:
        return _served_later(call)
    use_server()
    return call()


async def _served_later(call: Callable[[], Awaitable[R]]) -> R:
    point_at(await asyncio.to_thread(ensure_server))
    return await call()


def _within_a_run() -> bool:
    # The API of the run around it, whichever that is; a drawing of the flow needs none.
    return bool(FlowRunContext.get() or TaskRunContext.get() or get_task_viz_tracker())
