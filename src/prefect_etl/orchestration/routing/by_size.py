"""Sends datasets where their size says: small ones here, large ones to a subflow or deployment."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Semaphore
from typing import Any

from prefect import Flow, Task
from prefect.context import FlowRunContext, TaskRunContext

from prefect_etl.core.frames import frame_kind
from prefect_etl.core.routing import Route, Thresholds, size_of
from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.routing.deployed import run_deployed
from prefect_etl.orchestration.routing.inline import call_flow
from prefect_etl.utils.resources.interrupts import settled

Call = Callable[..., Any]
_logger = logging.getLogger(__name__)


def route_by_size(
    data: Any,
    *,
    small: Call,
    large: Call | None = None,
    deployment: str | None = None,
    threshold_rows: int | None = None,
    threshold_bytes: int | None = None,
    max_concurrency: int = 8,
) -> Any:
    """Hand each dataset to ``small`` or to ``large``, by its rows or bytes; several at once.

    Await it if ``small`` or ``large`` is async; otherwise it gives the results themselves. The
    run's log says where each dataset went, and why.

    Args:
        data: One dataset, or many: a list, any iterable, or a mapping with names. A dataset is a
            frame of any library, a reference with ``rows`` and ``bytes``, or what has a length.
        small: Called with each dataset that is not large: a function, task or flow.
        large: Called with each large one: a flow, to make it a subflow; or a task or function.
        deployment: Instead of ``large``: ``flow/deployment``, which runs with each large one.
        threshold_rows: What has more rows is large. 1,000 if no threshold is given.
        threshold_bytes: What takes more bytes in memory is large.
        max_concurrency: So many datasets at a time; others of an iterable are not read yet.

    Returns:
        What ``small`` or ``large`` gave: one result for one dataset, a list in the order of many,
        a dict for a mapping.

    Raises:
        ConfigError: The options do not fit, or a value has no size.
        Exception: Where datasets failed: the first one's error, when the others are done.

    Example:
        >>> route_by_size([[1], [1, 2, 3]], small=len, large=sum, threshold_rows=2)
        [1, 6]
        >>> route_by_size({"a": [4], "b": []}, small=sum, large=len)
        {'a': 4, 'b': 0}
    """
    if (large is None) == (deployment is None):
        raise ConfigError(
            "route_by_size() needs either large= or deployment=",
            hint="large= runs in this process, deployment= on a worker.",
        )
    if max_concurrency < 1:
        raise ConfigError(
            f"max_concurrency is {max_concurrency}", hint="Give 1 to run one after the other."
        )
    router = _Router(small, large, deployment, Thresholds(threshold_rows, threshold_bytes))
    datasets = _Datasets.of(data)
    if _is_async(small) or (large is not None and _is_async(large)):
        return _route_async(router, datasets, max_concurrency)
    return _route_sync(router, datasets, max_concurrency)


@dataclass(frozen=True)
class _Datasets:
    """What there is to route, and the shape of the answer."""

    named: Iterable[tuple[str, Any]]
    shape: Callable[[list[tuple[str, Any]]], Any]

    @classmethod
    def of(cls, data: Any) -> _Datasets:
        if isinstance(data, Mapping):
            return cls(list(data.items()), dict)
        if _is_one(data):
            return cls([("1", data)], lambda results: results[0][1])
        if not isinstance(data, Iterable):
            size_of(data)  # says what is wrong with it
            return cls([("1", data)], lambda results: results[0][1])
        named = ((str(number), dataset) for number, dataset in enumerate(data, start=1))
        return cls(named, lambda results: [result for _, result in results])


def _is_one(data: Any) -> bool:
    known = frame_kind(data) is not None or isinstance(data, (str, bytes, bytearray))
    return known or isinstance(getattr(data, "rows", getattr(data, "bytes", None)), int)


@dataclass(frozen=True)
class _Router:
    """Decides, says so, and calls."""

    small: Call
    large: Call | None
    deployment: str | None
    thresholds: Thresholds

    def route(self, name: str, dataset: Any) -> Route:
        """Where a dataset goes."""
        found = self.thresholds.route(size_of(dataset))
        _log().info("dataset %s: %s: %s", name, found.why, self._place(found))
        return found

    def call(self, route: Route, dataset: Any) -> Any:
        """Call what it goes to; gives an awaitable where that does."""
        if not route.large:
            return _call(self.small, dataset)
        if self.large is not None:
            return _call(self.large, dataset)
        return run_deployed(str(self.deployment), dataset)

    def _place(self, route: Route) -> str:
        if route.large and self.large is None:
            return f"deployment {self.deployment}"
        target = self.large if route.large and self.large is not None else self.small
        target = target.func if isinstance(target, partial) else target
        if isinstance(target, Flow):
            return f"subflow {target.name}" if FlowRunContext.get() else f"flow {target.name}"
        if isinstance(target, Task):
            return f"task {target.name}"
        return f"{getattr(target, '__name__', type(target).__name__)}()"


def _route_sync(router: _Router, datasets: _Datasets, limit: int) -> Any:
    running: list[tuple[str, Future[Any]]] = []
    slots = Semaphore(limit)
    with ThreadPoolExecutor(limit, thread_name_prefix="prefect_etl-route") as threads:
        try:
            for name, dataset in _as_slots_come(datasets.named, slots):
                route = router.route(name, dataset)
                # Each in the context of the run around it, so that a flow is its child.
                work = partial(copy_context().run, _here, router, route, dataset)
                running.append((name, threads.submit(work)))
                running[-1][1].add_done_callback(lambda _: slots.release())
        except BaseException:  # also Ctrl-C: what has begun ends first
            threads.shutdown(wait=True, cancel_futures=True)
            raise
    errors = [(name, future.exception()) for name, future in running]
    _raise_first(errors)
    return datasets.shape([(name, future.result()) for name, future in running])


def _as_slots_come(named: Iterable[tuple[str, Any]], slots: Semaphore) -> Iterator[tuple[str, Any]]:
    pairs = iter(named)
    while True:
        slots.acquire()
        pair = next(pairs, None)
        if pair is None:
            return
        yield pair


def _here(router: _Router, route: Route, dataset: Any) -> Any:
    """In a thread of its own, without an event loop."""
    result = router.call(route, dataset)
    if inspect.iscoroutine(result) and route.large and router.large is None:
        return asyncio.run(result)
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise ConfigError(
            "a function given to route_by_size() returned an awaitable, but is not async itself",
            hint="Write it with `async def`, and await route_by_size().",
        )
    return result


async def _route_async(router: _Router, datasets: _Datasets, limit: int) -> Any:
    slots = asyncio.Semaphore(limit)
    running: list[tuple[str, asyncio.Task[Any]]] = []

    async def run(route: Route, dataset: Any) -> Any:
        try:
            return await _there(router, route, dataset)
        finally:
            slots.release()

    try:
        for name, dataset in datasets.named:
            await slots.acquire()
            route = router.route(name, dataset)
            running.append((name, asyncio.create_task(run(route, dataset))))
        await asyncio.wait([work for _, work in running]) if running else None
    except BaseException:  # also a cancellation: what has begun ends first
        for _, work in running:
            work.cancel()  # those that are done do not mind
        # What they use may be closed next: they come to their ends first.
        await settled(work for _, work in running)
        raise
    errors = [(name, work.exception()) for name, work in running]
    _raise_first(errors)
    return datasets.shape([(name, work.result()) for name, work in running])


async def _there(router: _Router, route: Route, dataset: Any) -> Any:
    target = router.large if route.large else router.small
    if target is None or _is_async(target):
        return await router.call(route, dataset)
    result = await asyncio.to_thread(router.call, route, dataset)
    return await result if inspect.isawaitable(result) else result


def _call(target: Call, dataset: Any) -> Any:
    args, kwargs = (dataset,), {}
    if isinstance(target, partial):
        args, kwargs, target = (*target.args, dataset), target.keywords, target.func
    if isinstance(target, Flow) and not hasattr(target, "track_metrics"):
        # A plain one of Prefect's: its children are told apart by content here, too.
        return call_flow(target, args, kwargs)
    return target(*args, **kwargs)


def _is_async(target: Any) -> bool:
    if isinstance(target, partial):
        return _is_async(target.func)
    if isinstance(target, (Flow, Task)):
        return bool(target.isasync)
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(
        getattr(target, "__call__", None)  # noqa: B004 - whether calling it gives a coroutine
    )


def _raise_first(results: list[tuple[str, BaseException | None]]) -> None:
    failed = [(name, error) for name, error in results if error is not None]
    if not failed:
        return
    name, error = failed[0]
    error.add_note(f"in dataset {name} of route_by_size()")
    for other, its_error in failed[1:]:
        error.add_note(f"dataset {other} failed too: {its_error!r}")
        _log().error("dataset %s failed: %r", other, its_error)
    raise error


def _log() -> Any:
    from prefect.logging import get_run_logger

    inside = FlowRunContext.get() or TaskRunContext.get()
    return get_run_logger() if inside else _logger
