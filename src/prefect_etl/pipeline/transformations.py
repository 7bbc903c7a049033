"""The transformations of a run: planned after the datasets, built after the loads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from prefect_etl.connectors.transforming import SqlTables, Transforming
from prefect_etl.core.plan import TransformationPlan
from prefect_etl.core.report import TransformationReport
from prefect_etl.core.warehouse import Snapshot
from prefect_etl.errors import ConfigError, VersionConflict
from prefect_etl.pipeline.faults import told
from prefect_etl.pipeline.progress import Progress
from prefect_etl.pipeline.transform import (
    Prepared,
    build,
    failed_report,
    load_function,
    plan_transformations,
    prepare,
)
from prefect_etl.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)
# Each loss of a race means that another run published, so this is never reached in practice.
_ATTEMPTS = 5

BuildOne = Callable[[Prepared], TransformationReport]


@dataclass(frozen=True, slots=True)
class Transformations:
    """All transformations of a pipeline, looked at, in the order in which they run."""

    prepared: tuple[Prepared, ...] = ()
    snapshot: Snapshot = field(default_factory=Snapshot)

    def plan(
        self, only: Collection[str], will_change: Collection[str], *, refresh: bool
    ) -> tuple[TransformationPlan, ...]:
        """Decide which of them a run builds.

        Args:
            only: Names to choose; all if empty.
            will_change: Datasets whose tables the run changes before.
            refresh: Build all anew.
        """
        chosen = [part for part in self.prepared if not only or part.name in only]
        return tuple(plan_transformations(chosen, self.snapshot, will_change, refresh=refresh))


def look_at_transformations(workspace: Workspace) -> Transformations:
    """Look at a pipeline's transformations as the destination is now.

    Raises:
        ConfigError: One of them cannot run; all such mistakes are named at once.
    """
    spec = workspace.spec
    if not spec.transformations:
        return Transformations()
    tables = sql_tables(workspace)
    snapshot = tables.snapshot()
    datasets = [sourced.spec for sourced in spec.datasets]
    prepared = prepare(
        spec.transformations, spec.root, datasets, tables, snapshot, pipeline=spec.name
    )
    return Transformations(prepared, snapshot)


def sql_tables(workspace: Workspace) -> SqlTables:
    """Where the pipeline's transformations run.

    Raises:
        ConfigError: The destination runs none.
    """
    if not isinstance(workspace.destination, Transforming):
        name = workspace.spec.destination.connector.name
        raise ConfigError(
            f"the destination {name} runs no transformations",
            hint="Remove transformations: or choose a destination such as duckdb.",
        )
    return workspace.destination.tables


def import_functions(workspace: Workspace, plans: Collection[TransformationPlan]) -> None:
    """Import the modules of the functions that will be called, while something else is waited for.

    A module that cannot be imported fails its own transformation, later.
    """
    planned = {plan.name for plan in plans if plan.action == "run"}
    for spec in workspace.spec.transformations:
        if spec.name in planned and isinstance(spec.python, str):
            with suppress(ConfigError):
                load_function(spec.python, workspace.spec.root)


def build_transformation(
    workspace: Workspace, prepared: Prepared, progress: Progress, *, refresh: bool = False
) -> TransformationReport:
    """Compute, check and publish one transformation.

    Raises:
        EtlError: It failed; its table is as it was.
    """
    progress.started("transform", prepared.name, 0)
    started = time.monotonic()
    rows = 0
    try:
        spill = workspace.folder / "spill"
        report = build(
            prepared, sql_tables(workspace), workspace.run_id, refresh=refresh, spill=spill
        )
        rows = report.rows or 0
    finally:
        progress.finished("transform", prepared.name, rows, time.monotonic() - started)
    return report


def run_transformations(
    workspace: Workspace,
    plans: Sequence[TransformationPlan],
    failed: Collection[str],
    build_one: BuildOne,
) -> list[TransformationReport]:
    """Build what is planned, in order; what depends on a failure is skipped.

    Args:
        workspace: The pipeline.
        plans: What to do, in the order in which it is done.
        failed: Names of datasets that failed.
        build_one: Builds one.
    """
    parts: dict[str, Prepared] = {}
    if any(plan.action == "run" for plan in plans):
        parts = {part.name: part for part in look_at_transformations(workspace).prepared}
    kinds = {spec.name: spec.kind for spec in workspace.spec.transformations}
    broken = set(failed)
    reports = []
    for plan in plans:
        reason = "; ".join(plan.reasons)
        base = TransformationReport(
            plan.name, plan.table, kinds[plan.name], "unchanged", reason, reads=plan.reads
        )
        causes = [name for name in plan.reads if name in broken]
        if causes:
            said = f"it reads {', '.join(causes)}, which failed"
            report = replace(base, status="skipped", reason=said)
        elif plan.action == "skip":
            report = base
        elif plan.action == "blocked":
            report = replace(base, status="failed")
        else:
            report = _build(workspace, parts[plan.name], reason, build_one)
        if report.status in ("failed", "skipped"):
            broken.add(plan.name)
        reports.append(report)
    return reports


def _built(part: Prepared, build_one: BuildOne) -> TransformationReport:
    """Build; where another run published first, again: on what that run left."""
    for _ in range(_ATTEMPTS):
        try:
            return build_one(part)
        except VersionConflict as conflict:
            logger.info("%s; building again", conflict.message)
    return build_one(part)


def _build(
    workspace: Workspace, part: Prepared, reason: str, build_one: BuildOne
) -> TransformationReport:
    started = time.monotonic()
    try:
        return replace(_built(part, build_one), reason=reason)
    except Exception as error:  # noqa: BLE001 - one failure must not stop the others
        fault = told(error, f"transformation {part.name}", workspace)
        return failed_report(part, fault, time.monotonic() - started)
