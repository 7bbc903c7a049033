"""The runs that are open in this process, and which of them a call belongs to."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from weakref import WeakSet

from prefect_etl.utils.metrics.bridge import Bridge
from prefect_etl.utils.metrics.journal import Journal, JournalWriter
from prefect_etl.utils.metrics.runs import RunMetrics

logger = logging.getLogger(__name__)

RUN_VARIABLE = "_PREFECT_ETL_METRICS_RUN"  # no setting of the user's
# Of the process that started this one, if that had a run open.
BORN_IN = os.environ.get(RUN_VARIABLE, "")

scope: ContextVar[RunMetrics | None] = ContextVar("prefect_etl_metrics", default=None)
_open: dict[object, RunMetrics] = {}
_finders: list[Callable[[], RunMetrics | None]] = []
_bridge: Bridge | None = None
_inherited: RunMetrics | None = None
_of_others: WeakSet[RunMetrics] = WeakSet()
_users_own = False
_outside = RunMetrics()


def current() -> RunMetrics:
    """The run that a call made here belongs to.

    That of the context; else the flow run that Prefect says; else the only one that is open in this
    process, or was in the process that started this one; else none: what is recorded then is
    exported, but kept with no run.
    """
    run = scope.get()
    if run is not None and not run.closed:
        return run
    for finder in _finders:
        if (found := finder()) is not None:
            return found
    if len(_open) == 1:
        return next(iter(_open.values()))
    if _open:
        _warn_of_no_run()
    return (inherited() if BORN_IN and not _open else None) or _outside


@cache
def _warn_of_no_run() -> None:
    logger.warning(
        "Metrics are recorded in a thread that does not say its flow run, while several are open "
        "in this process; they are kept with none. Start the thread with "
        "contextvars.copy_context().run."
    )


def inherited() -> RunMetrics | None:
    """The run of the process that started this one, while it lasts."""
    global _inherited  # noqa: PLW0603 - made on first use
    if not BORN_IN or not Path(BORN_IN).is_dir():
        return None
    if _inherited is None:
        _inherited = for_other_process(Path(BORN_IN))
    return _inherited


def for_other_process(folder: Path) -> RunMetrics:
    """The run whose folder this is, in a process that is not its own."""
    run = RunMetrics(folder.name, folder=folder, journal=Journal(JournalWriter(folder).write))
    _of_others.add(run)
    return run


def find_by(finder: Callable[[], RunMetrics | None]) -> None:
    """Ask this function for the run, too, where the context does not say it."""
    if finder not in _finders:
        _finders.append(finder)


def open_run(key: object, run: RunMetrics) -> RunMetrics:
    """Begin to record a run of this process."""
    run.export_through(_bridge)
    _open[key] = run
    _tell_children()
    return run


def opened(key: object) -> RunMetrics | None:
    """The run, if this process has it open."""
    return _open.get(key)


def open_runs() -> list[RunMetrics]:
    """All runs that this process has open."""
    return list(_open.values())


def close_run(key: object) -> None:
    """Record no more for a run."""
    run = _open.pop(key, None)
    if run is not None:
        run.closed = True
    _tell_children()


def exports_are_chosen() -> bool:
    """Whether the user gave a meter provider, or said that there is none."""
    return _users_own


def export_through(bridge: Bridge | None, *, by_user: bool = False) -> None:
    """Hand on what this process records, from now on."""
    global _bridge, _users_own  # noqa: PLW0603 - one way out for the process
    _users_own = _users_own or by_user
    _bridge = bridge
    for run in (_outside, *_open.values()):
        run.export_through(bridge)


def _tell_children() -> None:
    # A process that is started now knows no context; with one run open there is one answer.
    runs = open_runs()
    if len(runs) == 1 and runs[0].folder is not None:
        os.environ[RUN_VARIABLE] = str(runs[0].folder)
    else:
        os.environ.pop(RUN_VARIABLE, None)


def _forked() -> None:
    global _bridge  # noqa: PLW0603 - as above
    _bridge = None
    for run in {_outside, *_open.values(), *_of_others}:
        run.become_foreign()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
