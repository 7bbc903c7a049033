"""The runs that are open in this process, by id.

Flows and tasks are given the id of a run, never a pipeline's resolved content: flow parameters go
to Prefect's database, and a connection may hold a secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path

from prefect_etl.config.logging_config import run_scope
from prefect_etl.config.secrets import secrets_hidden
from prefect_etl.config.settings import Settings, load_settings
from prefect_etl.core.plan import DatasetPlan, RunPlan
from prefect_etl.orchestration.blocks import NamedConnections
from prefect_etl.pipeline.progress import Progress, Silent
from prefect_etl.pipeline.run import plan_run
from prefect_etl.pipeline.spec import PipelineSpec, load_pipeline
from prefect_etl.pipeline.transformations import import_functions
from prefect_etl.pipeline.workspace import Options, Workspace, open_workspace

_RUNS: dict[str, ActiveRun] = {}


@dataclass
class ActiveRun:
    """A run that is open in this process."""

    workspace: Workspace
    progress: Progress
    plan: RunPlan | None = None
    plans: dict[str, DatasetPlan] = field(default_factory=dict)
    _planning: Future[RunPlan] | None = None

    def plan_ahead(self, only: Collection[str], *, refresh: bool) -> Future[RunPlan]:
        """Begin to plan in a thread: it needs no Prefect, whose first second passes meanwhile."""
        pool = ThreadPoolExecutor(1, "plan")
        self._planning = pool.submit(
            copy_context().run, plan_run, self.workspace, only, refresh=refresh
        )
        pool.shutdown(wait=False)
        return self._planning

    async def make_plan(self, only: Collection[str], *, refresh: bool = False) -> RunPlan:
        """The plan that was begun, or a new one.

        Raises:
            ConfigError: A name is unknown.
            BusyError: The destination cannot be read now.
        """
        planning = self._planning or self.plan_ahead(only, refresh=refresh)
        self._planning = None
        plan = self.planned(await asyncio.wrap_future(planning))
        # Not sooner: it would slow down the import of Prefect.
        asyncio.get_running_loop().run_in_executor(
            None, import_functions, self.workspace, plan.transformations
        )
        return plan

    def leave_plan(self) -> None:
        """Stop planning, if nobody waited for the plan."""
        if self._planning is not None:
            self.workspace.interrupt()
            wait([self._planning])

    def planned(self, plan: RunPlan) -> RunPlan:
        """Keep the plan for the tasks that will ask for it."""
        self.plan = plan
        self.plans = {dataset.dataset: dataset for dataset in plan.datasets}
        return plan


def options_of(settings: Settings, spec: PipelineSpec, limit: int | None = None) -> Options:
    """How the settings say that a pipeline runs."""
    return Options(
        data_dir=spec.root / settings.data_dir,
        memory_limit=settings.memory_limit,
        threads=settings.threads,
        lock_timeout=settings.lock_timeout,
        raw_retention_days=settings.raw_retention,
        concurrency=settings.max_concurrency,
        limit=limit,
    )


def connections_of(settings: Settings) -> Mapping[str, str]:
    """Connections by name, with their secrets; also those that blocks keep."""
    return NamedConnections(settings.connection_uris())


def resolve_pipeline(pipeline: str) -> tuple[PipelineSpec, Settings]:
    """The pipeline that a flow's parameter names.

    Raises:
        ConfigError: There is no such file, or it is wrong.
    """
    path = Path(pipeline)
    settings = load_settings(path.resolve().parent)
    return load_pipeline(path, connections_of(settings)), settings


@contextmanager
def open_run(
    pipeline: str,
    run_id: str | None = None,
    progress: Progress | None = None,
    resolved: tuple[PipelineSpec, Settings] | None = None,
) -> Iterator[ActiveRun]:
    """The run of this id, opened if this process does not have it open.

    Secrets are hidden in what is raised within: Prefect keeps the text of errors.

    Args:
        pipeline: Path of the pipeline file.
        run_id: The run's id; a new one if None.
        progress: Told what happens.
        resolved: What the file says, where it is known already, or where there is no file.
    """
    if run_id is not None and run_id in _RUNS:
        with secrets_hidden():
            yield _RUNS[run_id]
        return
    spec, settings = resolved or resolve_pipeline(pipeline)
    with secrets_hidden(), open_workspace(spec, options_of(settings, spec), run_id) as workspace:
        run = ActiveRun(workspace, progress or Silent())
        _RUNS[workspace.run_id] = run
        try:
            with run_scope(workspace.run_id):
                yield run
        finally:
            del _RUNS[workspace.run_id]
            run.leave_plan()
