"""Prefect's task, with what ours adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from prefect import Task
from prefect.futures import PrefectFuture, PrefectFutureList

from prefect_etl.core.retry import RetryPolicy
from prefect_etl.orchestration.caching.options import keep_soundly
from prefect_etl.orchestration.futures import awaitable, awaitable_list
from prefect_etl.orchestration.parameters import RunName
from prefect_etl.orchestration.retries.options import (
    changed_task_retry_options,
    task_retry_options,
)
from prefect_etl.orchestration.serving import served

P = ParamSpec("P")
R = TypeVar("R")


class EtlTask(Task[P, R]):
    """Prefect's task; the class stays the same through ``with_options``.

    Args:
        fn: The task's function.
        retry: A retry policy; in the place of Prefect's own retry options.
        options: Prefect's own.
    """

    def __init__(
        self, fn: Callable[P, R], *, retry: RetryPolicy | None = None, **options: Any
    ) -> None:
        super().__init__(fn, **task_retry_options(fn, options, retry))
        keep_soundly(self)
        _show_frames_in_names(self)
        self.retry = retry
        self._plain_fn = fn

    def with_options(self, *, retry: RetryPolicy | None = None, **options: Any) -> EtlTask[P, R]:
        """Copy the task with some options changed, as Prefect does."""
        plain = self._plain_fn
        retried = changed_task_retry_options(self, plain, options, retry)
        changed = cast("EtlTask[P, R]", super().with_options(**retried))
        changed.__class__ = type(self)
        keep_soundly(changed)
        _show_frames_in_names(changed)
        changed.retry = retry or self.retry
        changed._plain_fn = plain  # noqa: SLF001 - it is ours
        return changed

    if not TYPE_CHECKING:  # type checkers see the overloads of Prefect

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Run the task, on the shared local server if no API is configured."""
            defer = self.isasync and not self.isgenerator
            return served(lambda: Task.__call__(self, *args, **kwargs), defer=defer)

        def submit(self, *args: Any, **kwargs: Any) -> Any:
            """Submit the task to the runner; the future that comes back can be awaited."""
            future = super().submit(*args, **kwargs)
            return awaitable(future) if isinstance(future, PrefectFuture) else future

        def map(self, *args: Any, **kwargs: Any) -> Any:
            """Submit the task once for every element; the futures can be awaited."""
            futures = super().map(*args, **kwargs)
            return awaitable_list(futures) if isinstance(futures, PrefectFutureList) else futures

        def apply_async(self, *args: Any, **kwargs: Any) -> Any:
            """Leave the task to a worker, through the shared server if no API is configured."""
            return served(lambda: awaitable(Task.apply_async(self, *args, **kwargs)))


def _show_frames_in_names(task: Task[..., Any]) -> None:
    """Make a frame in a template of run names one short line."""
    if isinstance(task.task_run_name, str):
        task.task_run_name = RunName(task.task_run_name)
