"""A pipeline as an object: load it or make it, plan it, run it, look back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from prefect_etl.config.settings import Settings, load_settings
from prefect_etl.connectors.registry import connector_for
from prefect_etl.core.backfill import BackfillPlan, windows
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.plan import RunPlan
from prefect_etl.core.report import RunReport
from prefect_etl.errors import ConfigError, RunFailedError
from prefect_etl.orchestration.active import connections_of, options_of
from prefect_etl.orchestration.apart import run_apart
from prefect_etl.pipeline.backfill import plan_backfill
from prefect_etl.pipeline.progress import Progress
from prefect_etl.pipeline.quarantine import Quarantine, QuarantineEntry
from prefect_etl.pipeline.replay import entries_to_replay, replay_pipeline
from prefect_etl.pipeline.run import assert_known, plan_run, run_pipeline
from prefect_etl.pipeline.spec import Connection, PipelineSpec, load_pipeline, pipeline_from
from prefect_etl.pipeline.workspace import Workspace, new_run_id, open_workspace


class Pipeline:
    """What to load from where, and what to make of it.

    Args:
        name: The pipeline's name, the owner of its tables.
        destination: A URI, or the name of a connection in the settings.
        sources: Name: ``{"connection": …, "datasets": {name: {…}}}``, as in the pipeline file; a
            function may stand where the file has ``module:function``.
        transformations: Name: ``{"sql": …}`` or ``{"python": …}``.
        root: The folder that paths are relative to; the current one if None.
        settings: How it runs; read from environment and files if None.

    Raises:
        ConfigError: Something in it is wrong; all mistakes are named.

    Example:
        >>> pipeline = Pipeline(
        ...     name="shop",
        ...     destination="duckdb:///shop.duckdb",
        ...     sources={
        ...         "app": {
        ...             "connection": "python://",
        ...             "datasets": {"orders": {"function": lambda: [{"id": 1}]}},
        ...         }
        ...     },
        ... )
        >>> pipeline.name
        'shop'
    """

    def __init__(
        self,
        *,
        name: str,
        destination: str,
        sources: Mapping[str, Any] | None = None,
        transformations: Mapping[str, Any] | None = None,
        root: Path | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or load_settings(root)
        self.spec = pipeline_from(
            name=name,
            destination=destination,
            sources=sources,
            transformations=transformations,
            root=root,
            connections=connections_of(self.settings),
        )

    @classmethod
    def load(cls, path: str | Path, settings: Settings | None = None) -> Self:
        """Read a pipeline file.

        Raises:
            ConfigError: The file is wrong; all mistakes are named, each with its line.
        """
        file = Path(path)
        loaded = cls.__new__(cls)
        loaded.settings = settings or load_settings(file.resolve().parent)
        loaded.spec = load_pipeline(file, connections_of(loaded.settings))
        return loaded

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.spec.name

    def plan(self, only: Collection[str] = (), *, full_refresh: bool = False) -> RunPlan:
        """What a run would do, and why; nothing is written.

        Raises:
            ConfigError: A name in ``only`` is unknown.
            BusyError: The destination cannot be read now.
        """
        workspace = self._workspace()
        try:
            return plan_run(workspace, only, refresh=full_refresh)
        finally:
            workspace.close()

    def run(
        self,
        only: Collection[str] = (),
        *,
        full_refresh: bool = False,
        limit: int | None = None,
        progress: Progress | None = None,
    ) -> RunReport:
        """Run the pipeline as a Prefect flow, and wait for it; also inside an event loop.

        A part that fails is in the report; it does not raise.

        Args:
            only: Names of datasets and transformations; all if empty.
            full_refresh: Load datasets anew.
            limit: A trial: so many rows of each dataset, into a throw-away warehouse, without
                Prefect.
            progress: Told what happens.

        Raises:
            ConfigError: A name in ``only`` is unknown.
            BusyError: The destination cannot be read now.
        """
        if limit is not None:
            return self._trial(only, limit, progress)
        return run_apart(lambda: self.arun(only, full_refresh=full_refresh, progress=progress))

    async def arun(
        self,
        only: Collection[str] = (),
        *,
        full_refresh: bool = False,
        progress: Progress | None = None,
    ) -> RunReport:
        """Run the pipeline as a Prefect flow; as :meth:`run`."""
        from prefect_etl.orchestration.active import open_run
        from prefect_etl.orchestration.server import use_server

        if not self.spec.tables:  # else the sources have to be asked, when the run is planned
            assert_known(self.spec, only)
        home, idle = self.settings.home, self.settings.server_idle_minutes
        await asyncio.to_thread(lambda: use_server(home=home, idle_minutes=idle))
        key = str(self.spec.path or self.name)
        with open_run(key, new_run_id(), progress, (self.spec, self.settings)) as run:
            run.plan_ahead(only, refresh=full_refresh)
            # Importing Prefect takes a second, in which the plan is made.
            from prefect_etl.flows.main import etl

            try:
                return await etl.with_options(flow_run_name=self.name)(
                    key,
                    only=list(only) or None,
                    full_refresh=full_refresh,
                    run_id=run.workspace.run_id,
                )
            except RunFailedError as error:
                if isinstance(error.report, RunReport):
                    return error.report
                raise

    def plan_backfill(
        self, dataset: str, start: str, end: str, every: str, *, again: bool = False
    ) -> BackfillPlan:
        """Which windows of the past are loaded, which failed, which are missing.

        Args:
            dataset: A table or query of a database with a cursor.
            start: The first value of the cursor: a date, a time or a whole number.
            end: The value after the last one.
            every: The length of a window: ``1 day``, ``6 hours``, ``1 month``, or a number.
            again: Load also those that are loaded.

        Raises:
            ConfigError: The dataset cannot be read by windows, or they do not fit together.
        """
        found = windows(start, end, every)
        workspace = self._workspace()
        try:
            return plan_backfill(workspace, dataset, found, again=again)
        finally:
            workspace.close()

    def backfill(
        self,
        dataset: str,
        start: str,
        end: str,
        every: str,
        *,
        limit: int = 2,
        again: bool = False,
    ) -> RunReport:
        """Load windows of the past, each as a Prefect run, and wait for them.

        A window that fails is in the report; it does not raise. What is loaded already is left out.

        Args:
            dataset: As for :meth:`plan_backfill`, like all but the limit.
            start: The first value of the cursor.
            end: The value after the last one.
            every: The length of a window.
            limit: How many windows are loaded at a time.
            again: Load also those that are loaded.
        """
        plan = self.plan_backfill(dataset, start, end, every, again=again)
        return run_apart(lambda: self._backfill(plan, limit))

    async def _backfill(self, plan: BackfillPlan, limit: int) -> RunReport:
        from prefect_etl.orchestration.active import open_run
        from prefect_etl.orchestration.server import use_server

        home, idle = self.settings.home, self.settings.server_idle_minutes
        await asyncio.to_thread(lambda: use_server(home=home, idle_minutes=idle))
        key = str(self.spec.path or self.name)
        with open_run(key, new_run_id(), None, (self.spec, self.settings)) as run:
            from prefect_etl.flows.backfill import backfill

            bounds = [[str(w.lower), str(w.upper)] for w in plan.todo]
            named = backfill.with_options(flow_run_name=f"{self.name} backfill {plan.dataset}")
            run_id = run.workspace.run_id
            try:
                return await named(key, plan.dataset, bounds, limit=limit, run_id=run_id)
            except RunFailedError as error:
                if isinstance(error.report, RunReport):
                    return error.report
                raise

    def history(self, limit: int | None = None) -> list[RunReport]:
        """Reports of runs, newest first; failed ones too."""
        return self._workspace().log.latest(limit)

    def report(self, run_id: str | None = None) -> RunReport:
        """The report of a run; of the last one if not named.

        Raises:
            ConfigError: There is none.
        """
        log = self._workspace().log
        if run_id is not None:
            return log.read(run_id)
        latest = log.latest(1)
        if not latest:
            raise ConfigError(f"pipeline {self.name} never ran", hint="Run it: prefect-etl run")
        return latest[0]

    def quarantine(self, dataset: str | None = None) -> list[QuarantineEntry]:
        """Files of rows that broke their contract, newest load last."""
        return Quarantine(self._workspace().quarantine).entries(dataset)

    def replay(self, name: str | None = None) -> RunReport:
        """Load rows from quarantine that satisfy the contract now, exactly once, as a Prefect flow.

        What fails again stays in quarantine, with its new reasons. A file that fails is in the
        report; it does not raise.

        Args:
            name: A dataset, the name of a file of quarantine, or ``DATASET/NAME``; all that is open
                if None.

        Raises:
            ConfigError: Nothing has this name.
        """
        workspace = self._workspace()
        try:
            chosen = entries_to_replay(workspace, name)
        finally:
            workspace.close()
        names = [(entry.dataset, entry.name) for entry in chosen]
        return run_apart(lambda: self._replay(names))

    async def _replay(self, names: list[tuple[str, str]]) -> RunReport:
        from prefect_etl.orchestration.active import open_run
        from prefect_etl.orchestration.server import use_server

        key, run_id = str(self.spec.path or self.name), new_run_id()
        with open_run(key, run_id, None, (self.spec, self.settings)) as run:
            if not names:
                return replay_pipeline(run.workspace, names)
            home, idle = self.settings.home, self.settings.server_idle_minutes
            await asyncio.to_thread(lambda: use_server(home=home, idle_minutes=idle))
            from prefect_etl.flows.replay import replay

            named = replay.with_options(flow_run_name=f"{self.name} replay")
            try:
                return await named(key, [list(name) for name in names], run_id=run_id)
            except RunFailedError as error:
                if isinstance(error.report, RunReport):
                    return error.report
                raise

    def state(self) -> dict[str, LedgerState]:
        """What the ledger knows, by dataset."""
        workspace = self._workspace()
        try:
            return {
                sourced.spec.name: workspace.destination.state(sourced.spec)
                for sourced in workspace.spec.datasets
            }
        finally:
            workspace.close()

    def reset(self, dataset: str) -> None:
        """Make the next run load a dataset anew; until then its table stays as it is.

        Raises:
            ConfigError: There is no such dataset.
        """
        workspace = self._workspace()
        try:
            workspace.destination.reset(workspace.dataset(dataset).spec)
        finally:
            workspace.close()

    def _workspace(self) -> Workspace:
        return Workspace(self.spec, options_of(self.settings, self.spec), new_run_id())

    def _trial(self, only: Collection[str], limit: int, progress: Progress | None) -> RunReport:
        with TemporaryDirectory(prefix="prefect_etl-") as folder:
            connector = connector_for("duckdb:")
            config = connector.connection.from_uri("duckdb:///trial.duckdb", Path(folder))
            spec: PipelineSpec = replace(self.spec, destination=Connection(connector, config))
            options = options_of(self.settings, spec, limit)
            options = replace(options, data_dir=Path(folder))
            with open_workspace(spec, options) as workspace:
                report = run_pipeline(workspace, only, progress=progress)
            return replace(report, destination="thrown away: this was a trial")
