"""Where a flow run's shared resources hang: on its task runner, which ends after its workers.

Prefect enters a runner for each flow run (``FlowRunContext.task_runner``) and leaves it when the
flow's function is over, however that ended; the thread runner waits there for its threads. Its
state hooks and the exit of ``FlowRunContext`` come before that, while tasks may still run.

The runner becomes an instance of a subclass of its own class, made here. Prefect has looked up
``__exit__`` before, but that one calls ``super().__exit__``, as ``TaskRunner`` wants of runners,
and finds ours behind it: after the workers are gone. Two parts of Prefect are relied on, both
public: ``FlowRunContext.task_runner``, and that a runner's ``__exit__`` calls ``super().__exit__``.
Where the first is missing this raises; a runner that never tells its end is reported at exit.
"""

from __future__ import annotations

import atexit
import os
import threading
from functools import cache
from types import TracebackType
from typing import Any, cast

from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.logging.loggers import flow_run_logger, get_logger
from prefect.task_runners import TaskRunner

from prefect_etl.errors import Fatal
from prefect_etl.orchestration.resources.scope import RunScope

Runner = TaskRunner[PrefectFuture[Any]]

# Prefect's own grace before SIGKILL is 30 s.
_GRACE_SECONDS = 20.0
_SCOPE = "_prefect_etl_scope"

_guard = threading.Lock()
_open_scopes: dict[int, RunScope] = {}
_remote_scopes: dict[str, RunScope] = {}


class _TellsItsEnd(TaskRunner[PrefectFuture[Any]]):
    """Behind a runner's class: what it calls when its workers are gone."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            _end(self, error, grace=0.0)


@cache
def _telling_class(theirs: type[Runner]) -> type[Runner]:
    def cancel_all(self: Any) -> None:
        try:
            theirs.cancel_all(self)  # type: ignore[attr-defined]
        except BaseException as error:
            # A signal while it waited for its workers; Prefect ends the process next.
            _end(self, error, grace=_GRACE_SECONDS)
            raise

    def reduce(self: Any, _protocol: Any) -> Any:
        state = {name: v for name, v in self.__getstate__().items() if name != _SCOPE}
        return _plain_runner, (theirs, state)

    names: dict[str, Any] = {"__module__": theirs.__module__, "__doc__": theirs.__doc__}
    names["__reduce_ex__"] = reduce
    if hasattr(theirs, "cancel_all"):
        names["cancel_all"] = cancel_all
    return cast("type[Runner]", type(theirs.__name__, (theirs, _TellsItsEnd), names))


def _plain_runner(kind: type[Runner], state: dict[str, Any]) -> Runner:
    runner: Any = kind.__new__(kind)
    (getattr(runner, "__setstate__", None) or runner.__dict__.update)(state)
    return cast("Runner", runner)


def current_scope() -> RunScope | None:
    """The scope of the flow run around the caller; None outside of all.

    Raises:
        Fatal: This Prefect's flow runs have no end that could be heard of.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return None
    if context.detached:
        return _remote_scope(context)
    runner = getattr(context, "task_runner", None)
    if not isinstance(runner, TaskRunner):
        raise Fatal("shared resources need FlowRunContext.task_runner, which this Prefect lacks")
    with _guard:
        scope: RunScope | None = getattr(runner, _SCOPE, None)
        if scope is None:
            scope = _new_scope(context)
            setattr(runner, _SCOPE, scope)
            if not isinstance(runner, _TellsItsEnd):
                runner.__class__ = _telling_class(type(runner))
        return scope


def _remote_scope(context: FlowRunContext) -> RunScope:
    """The scope of a run whose flow works in another process: it lasts as long as this process."""
    key = str(cast("Any", context.flow_run).id)
    with _guard:
        scope = _remote_scopes.get(key)
        if scope is not None:
            return scope
        scope = _remote_scopes[key] = _new_scope(context)
        idle = [other for name, other in _remote_scopes.items() if name != key and other.is_idle]
    # A worker of a cluster serves one run after the other, and never hears of their ends.
    for other in idle:
        other.end(None, grace=0.0)
    return scope


def _new_scope(context: FlowRunContext) -> RunScope:
    flow_run = cast("Any", context.flow_run)
    logger = flow_run_logger(flow_run=flow_run, flow=cast("Any", context.flow))
    scope = RunScope(f"flow run {flow_run.name}", logger)
    _at_exit()
    _open_scopes[id(scope)] = scope
    return scope


def _end(runner: Any, error: BaseException | None, *, grace: float) -> None:
    scope: RunScope | None = runner.__dict__.get(_SCOPE)
    if scope is None:
        return
    scope.end(error, grace=grace)
    if scope.is_empty:
        _open_scopes.pop(id(scope), None)


@cache
def _at_exit() -> None:
    # Before the pools of threads refuse work, which a cleanup may need (`asyncio.to_thread`); that
    # place in the order is CPython's own, and `atexit` is the next best.
    getattr(threading, "_register_atexit", atexit.register)(_end_all)
    os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    # The child of a fork has none of the threads in which its parent's resources live.
    _open_scopes.clear()
    _remote_scopes.clear()


def _end_all() -> None:
    remote = list(_remote_scopes.values())
    for scope in list(_open_scopes.values()):
        if scope not in remote and not scope.is_empty:
            message = "%s never told its end; what it shares is closed as the process ends"
            get_logger("prefect_etl").warning(message, scope.run)
        scope.end(None, grace=_GRACE_SECONDS)
