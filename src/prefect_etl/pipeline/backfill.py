"""Loads windows of the past, one by one, whatever is new meanwhile.

A window is a unit of its own, which the ledger remembers, so a backfill goes on where it stopped.
Windows are extracted side by side and published in turns.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

from prefect_etl.connectors.base import Windowed
from prefect_etl.core.backfill import BackfillPlan, position, settled
from prefect_etl.core.cursor import Window
from prefect_etl.core.plan import DatasetPlan
from prefect_etl.core.report import DatasetReport
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.errors import ConfigError, VersionConflict
from prefect_etl.pipeline.extract import extract_dataset
from prefect_etl.pipeline.planner import table_name
from prefect_etl.pipeline.run import Steps, failed
from prefect_etl.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)
# Each loss of a race means that another run published, so this is never reached in practice.
_ATTEMPTS = 20
_LOOKED_AT = 100


def plan_backfill(
    workspace: Workspace, dataset: str, found: Sequence[Window], *, again: bool = False
) -> BackfillPlan:
    """Which windows of a dataset are loaded already, which failed, which are missing.

    Args:
        workspace: The pipeline.
        dataset: The dataset's name.
        found: The windows, oldest first.
        again: Take none of them as done.

    Raises:
        ConfigError: There is no such dataset, or it cannot be read by windows.
    """
    sourced = workspace.dataset(dataset)
    if not isinstance(workspace.source(sourced), Windowed) or sourced.spec.cursor is None:
        raise ConfigError(
            f"dataset {dataset} cannot be read by windows",
            hint="A backfill needs a table or query of a database, and its cursor:.",
        )
    done = {} if again else workspace.destination.state(sourced.spec).units
    windows = settled(found, done, _failures(workspace, dataset))
    return BackfillPlan(dataset, table_name(sourced.spec), windows)


def _failures(workspace: Workspace, dataset: str) -> dict[str, str]:
    """Why the last try of a window failed, by window."""
    found: dict[str, str] = {}
    for report in reversed(workspace.log.latest(_LOOKED_AT)):
        for part in report.datasets:
            if part.dataset == dataset and part.window:
                found.pop(part.window, None)
                if part.status == "failed":
                    found[part.window] = part.reason
    return found


def run_window(
    workspace: Workspace, dataset: str, window: Window, steps: Steps, publishing: Lock
) -> DatasetReport:
    """Load one window; a failure is a report.

    Args:
        workspace: The pipeline.
        dataset: The dataset's name.
        window: The window.
        steps: How to extract and load.
        publishing: Held by the window that publishes.
    """
    try:
        report = _load(workspace, dataset, window, steps, publishing)
    except Exception as error:  # noqa: BLE001 - one window's failure must not stop the others
        report = failed(workspace, dataset, error)
    return replace(report, window=str(window))


def _load(
    workspace: Workspace, dataset: str, window: Window, steps: Steps, publishing: Lock
) -> DatasetReport:
    sourced = workspace.dataset(dataset)
    source, spec = workspace.source(sourced), sourced.spec
    if not isinstance(source, Windowed):  # plan_backfill has said so
        raise TypeError(dataset)
    state = workspace.destination.state(spec)
    again = position(window) in state.units
    batches = tuple(
        _anew(batch, workspace.run_id) if again else batch for batch in source.window(window, state)
    )
    reasons = (f"backfill of {window}",)
    plan = DatasetPlan(dataset, table_name(spec), "load", reasons, state, batches)
    extracted = extract_dataset(workspace, plan, steps.extract)
    for _ in range(_ATTEMPTS):
        with publishing:
            plan = replace(plan, state=workspace.destination.state(spec))
            try:
                return steps.load(plan, extracted)
            except VersionConflict as conflict:
                logger.info("%s; publishing window %s again", conflict.message, window)
    return steps.load(plan, extracted)


def _anew(batch: Batch, run_id: str) -> Batch:
    """A batch whose units replace what the ledger has of their positions."""
    units = (Unit(unit.position, run_id, unit.size, unit.modified_ns) for unit in batch.units)
    return replace(batch, units=tuple(units))
