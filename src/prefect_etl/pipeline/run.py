"""Runs a pipeline: the whole protocol as plain calls, without Prefect.

The Prefect flows have the same shape, with tasks in the place of the two :class:`Steps`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from prefect_etl.core.manifest import Manifest
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.plan import DatasetPlan, RunPlan
from prefect_etl.core.report import DatasetReport, RunReport, TransformationReport
from prefect_etl.core.unit import Batch
from prefect_etl.errors import ConfigError, RunFailedError, StorageError, VersionConflict
from prefect_etl.pipeline.extract import ExtractBatch, Extracted, extract_batch, extract_dataset
from prefect_etl.pipeline.faults import STOPPED, told
from prefect_etl.pipeline.load import load_dataset, replay_loads, settle_last_load
from prefect_etl.pipeline.planner import plan_dataset, table_name
from prefect_etl.pipeline.progress import Progress, Silent
from prefect_etl.pipeline.spec import PipelineSpec
from prefect_etl.pipeline.transform import Prepared
from prefect_etl.pipeline.transformations import (
    build_transformation,
    look_at_transformations,
    run_transformations,
)
from prefect_etl.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)
# Each loss of a race means that another run published, so this is never reached in practice.
_ATTEMPTS = 5

LoadDataset = Callable[[DatasetPlan, Extracted], DatasetReport]


@dataclass(frozen=True, slots=True)
class Steps:
    """The two pieces of work of a dataset: done here, or as tasks of a flow."""

    extract: ExtractBatch
    load: LoadDataset


def plain_steps(workspace: Workspace, progress: Progress) -> Steps:
    """The steps as plain calls that tell their progress."""

    def extract(plan: DatasetPlan, batch: Batch) -> Manifest:
        manifest = extract_batch(workspace, plan, batch)
        progress.advanced("extract", plan.dataset, batch.size, manifest.rows)
        return manifest

    def load(plan: DatasetPlan, extracted: Extracted) -> DatasetReport:
        progress.started("load", plan.dataset, 0)
        started = time.monotonic()
        rows = 0
        try:
            report = load_dataset(workspace, plan, extracted)
            rows = report.counts.read
        finally:
            progress.finished("load", plan.dataset, rows, time.monotonic() - started)
        return report

    return Steps(extract, load)


def plan_run(workspace: Workspace, only: Collection[str] = (), *, refresh: bool = False) -> RunPlan:
    """Plan a run; nothing is written.

    Args:
        workspace: The pipeline.
        only: Names of datasets and transformations; all if empty.
        refresh: Load datasets anew.

    Raises:
        ConfigError: A name is unknown.
        BusyError: The destination cannot be read now.
    """
    assert_known(workspace.spec, only)
    names = [sourced.spec.name for sourced in workspace.spec.datasets]
    plans = tuple(
        plan_dataset(workspace, name, refresh=refresh) for name in names if not only or name in only
    )
    changing = {plan.dataset for plan in plans if plan.action in ("load", "replay")}
    transformations = look_at_transformations(workspace).plan(only, changing, refresh=refresh)
    return RunPlan(workspace.spec.name, plans, transformations)


def assert_known(spec: PipelineSpec, only: Collection[str]) -> None:
    """Make sure that a pipeline has what is asked for by name.

    Raises:
        ConfigError: It has not.
    """
    known = [sourced.spec.name for sourced in spec.datasets]
    known += [part.name for part in spec.transformations]
    for name in only:
        if name not in known:
            raise ConfigError(
                f"pipeline {spec.name} has no dataset or transformation {name}"
                f"{did_you_mean(name, known)}",
                hint=f"It has: {', '.join(known)}.",
            )


def run_dataset(
    workspace: Workspace, plan: DatasetPlan, steps: Steps, extracted: Extracted | None = None
) -> DatasetReport:
    """Do what a plan says; a failure is a report, so that other datasets go on.

    Where another run publishes first, what was prepared is discarded and planned again.

    Args:
        workspace: The pipeline.
        plan: What to do.
        steps: How to extract and load.
        extracted: What was extracted already for this plan.
    """
    started = time.monotonic()
    try:
        for _ in range(_ATTEMPTS):
            try:
                return _attempt(workspace, plan, steps, extracted)
            except VersionConflict as conflict:
                logger.info("%s; planning again", conflict.message)
                plan = plan_dataset(workspace, plan.dataset, refresh=plan.refresh)
                extracted = None
        return _attempt(workspace, plan, steps, extracted)
    except Exception as error:  # noqa: BLE001 - one dataset's failure must not stop the others
        report = failed(workspace, plan.dataset, error)
        return replace(report, seconds=time.monotonic() - started)


def _attempt(
    workspace: Workspace, plan: DatasetPlan, steps: Steps, extracted: Extracted | None
) -> DatasetReport:
    spec = workspace.dataset(plan.dataset).spec
    reason = "; ".join(plan.reasons)
    base = DatasetReport(plan.dataset, plan.table, "unchanged", reason, write=spec.write)
    if plan.action in ("skip", "load"):
        settle_last_load(workspace, plan)
    match plan.action:
        case "skip":
            return replace(base, version=plan.state.version)
        case "blocked":
            return replace(base, status="failed", reason=plan.error or reason, hint=plan.hint or "")
        case "load":
            done = steps.load(plan, extracted or extract_dataset(workspace, plan, steps.extract))
            return _followed(workspace, done, steps) if plan.resumes else done
    return _followed(workspace, replay_loads(workspace, plan), steps)


def _followed(workspace: Workspace, done: DatasetReport, steps: Steps) -> DatasetReport:
    """What was done for an earlier run, and then what is new since."""
    following = plan_dataset(workspace, done.dataset)
    if following.action == "skip":
        return done
    return done.followed_by(_attempt(workspace, following, steps, None))


def failed(workspace: Workspace, dataset: str, error: Exception) -> DatasetReport:
    """The report of a dataset that an error stopped."""
    spec = workspace.dataset(dataset).spec
    report = DatasetReport(dataset, table_name(spec), "failed", write=spec.write)
    fault = told(error, f"dataset {dataset}", workspace)
    return replace(report, reason=fault.message, hint=fault.hint or "")


@contextmanager
def logged(workspace: Workspace) -> Iterator[RunReport]:
    """Keep a run in the run log from its beginning, however it ends.

    What is killed is known by its lease. Anything that stops the run as a whole is noted, and the
    engine's statements are stopped with it.
    """
    report = RunReport(
        run_id=workspace.run_id,
        pipeline=workspace.spec.name,
        destination=workspace.spec.destination.config.display,
        status="running",
        started=datetime.now(UTC),
    )
    workspace.log.write(report)
    try:
        yield report
    except RunFailedError:
        raise
    except BaseException as error:  # also Ctrl-C and cancellation: the log must say how it ended
        workspace.interrupt()
        stopped = not isinstance(error, Exception)
        workspace.log.write(
            replace(
                report,
                status="interrupted" if stopped else "failed",
                seconds=(datetime.now(UTC) - report.started).total_seconds(),
                error=STOPPED if stopped else str(error),
            )
        )
        raise


def finish(
    workspace: Workspace,
    begun: RunReport,
    datasets: Sequence[DatasetReport],
    transformations: Sequence[TransformationReport] = (),
) -> RunReport:
    """Note in the run log what a run did."""
    report = replace(
        begun,
        seconds=(datetime.now(UTC) - begun.started).total_seconds(),
        datasets=tuple(datasets),
        transformations=tuple(transformations),
    )
    report = replace(report, status="failed" if report.failures else "completed")
    try:
        workspace.log.write(report)
    except StorageError as error:  # what was published is; the report must not be lost, too
        logger.warning("%s", error)
        report = replace(report, status="failed", error=error.message)
    return report


def run_pipeline(
    workspace: Workspace,
    only: Collection[str] = (),
    *,
    refresh: bool = False,
    progress: Progress | None = None,
) -> RunReport:
    """Run a pipeline in this process.

    Args:
        workspace: The pipeline.
        only: Names of datasets and transformations; all if empty.
        refresh: Load datasets anew.
        progress: Told what happens.

    Raises:
        ConfigError: A name is unknown.
        BusyError: The destination cannot be read now.
    """
    shown = progress or Silent()
    steps = plain_steps(workspace, shown)
    with logged(workspace) as begun:
        plan = plan_run(workspace, only, refresh=refresh)
        reports = [run_dataset(workspace, dataset, steps) for dataset in plan.datasets]

        def build_one(part: Prepared) -> TransformationReport:
            return build_transformation(workspace, part, shown, refresh=refresh)

        broken = [report.dataset for report in reports if report.status == "failed"]
        built = run_transformations(workspace, plan.transformations, broken, build_one)
        return finish(workspace, begun, reports, built)
