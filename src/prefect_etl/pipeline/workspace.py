"""Everything a run works with: the pipeline, its folders, the engine, source and destination."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from urllib.parse import quote
from uuid import uuid4

from prefect_etl.connectors.base import Closing, Destination, Source
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.discovery import discovered
from prefect_etl.pipeline.spec import PipelineSpec, SourcedDataset
from prefect_etl.storage.lease import Lease
from prefect_etl.storage.leftovers import remove_leftovers
from prefect_etl.storage.raw_zone import RawZone
from prefect_etl.storage.run_log import RunLog

RAW_RETENTION_DAYS = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a pipeline runs, whatever it does.

    Attributes:
        data_dir: Raw zone, quarantine, run log and reports; ``.prefect_etl`` beside the pipeline
            file if None.
        memory_limit: What the engine may use, as DuckDB spells sizes.
        threads: The engine's threads; all cores if None.
        lock_timeout: Seconds to wait for a database file that another process holds.
        raw_retention_days: How long loaded batches stay in the raw zone; None for ever.
        concurrency: Batches that are read at once.
        limit: Rows of each dataset at most; for trials only.
    """

    data_dir: Path | None = None
    memory_limit: str = "1GiB"
    threads: int | None = None
    lock_timeout: float = 60.0
    raw_retention_days: float | None = RAW_RETENTION_DAYS
    concurrency: int = 2
    limit: int | None = None


def new_run_id() -> str:
    """An id that sorts by time of start."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}-{uuid4().hex[:6]}"


class Workspace:
    """A pipeline with the means to run it; made by :func:`open_workspace`.

    Args:
        spec: The pipeline.
        options: How it runs.
        run_id: The run.
    """

    def __init__(self, spec: PipelineSpec, options: Options, run_id: str) -> None:
        self._given = spec
        self._sources: dict[str, Source] = {}
        self._opening = Lock()
        self.options = options
        self.run_id = run_id
        self.stopping = False
        base = options.data_dir or spec.root / ".prefect_etl"
        self.folder = base / quote(spec.name, safe="").replace(".", "%2E")
        self.raw = RawZone(self.folder / "raw", run_id)
        self.log = RunLog(self.folder / "runs", self.raw.leases)
        self.quarantine = self.folder / "quarantine"
        self.reports = self.folder / "reports"

    @cached_property
    def spec(self) -> PipelineSpec:
        """The pipeline; where it names tables by a pattern, what a source has of them now."""
        return discovered(self._given, lambda: self.session)

    @cached_property
    def session(self) -> Session:
        """The engine, started on first use."""
        return Session(
            memory_limit=self.options.memory_limit,
            spill=self.folder / "spill" / self.run_id,
            threads=self.options.threads,
            wait=self.options.lock_timeout,
        )

    @cached_property
    def destination(self) -> Destination:
        """Where the tables are."""
        connection = self.spec.destination
        make = connection.connector.destination
        if make is None:
            raise ConfigError(f"{connection.connector.name} cannot be a destination")
        return make(connection.config, self.session)

    def dataset(self, name: str) -> SourcedDataset:
        """A dataset by its name.

        Raises:
            ConfigError: There is none of this name.
        """
        for sourced in self.spec.datasets:
            if sourced.spec.name == name:
                return sourced
        known = [sourced.spec.name for sourced in self.spec.datasets]
        raise ConfigError(
            f"pipeline {self.spec.name} has no dataset {name}{did_you_mean(name, known)}",
            hint=f"It has: {', '.join(known)}.",
        )

    def source(self, sourced: SourcedDataset) -> Source:
        """A dataset's source; one for the whole run, so that its reads can share a snapshot."""
        make = sourced.connection.connector.source
        if make is None:
            raise ConfigError(f"{sourced.connection.connector.name} cannot be a source")
        with self._opening:
            if sourced.spec.name not in self._sources:
                opened = make(sourced.connection.config, sourced.spec, self.session)
                self._sources[sourced.spec.name] = opened
            return self._sources[sourced.spec.name]

    def interrupt(self) -> None:
        """Stop the engine's statements: the run is over."""
        self.stopping = True
        if "session" in self.__dict__:
            self.session.interrupt()

    def close(self) -> None:
        """Close the sources, and stop the engine, if it was started."""
        for source in self._sources.values():
            if isinstance(source, Closing):
                source.close()
        if "session" in self.__dict__:
            self.session.close()
        spill = self.folder / "spill"
        for folder in (spill / self.run_id, spill, self.folder, self.folder.parent):
            with suppress(OSError):  # something is in it, or it was never made
                folder.rmdir()


@contextmanager
def open_workspace(
    spec: PipelineSpec, options: Options | None = None, run_id: str | None = None
) -> Iterator[Workspace]:
    """Open a pipeline for a run; its lease is held until the end.

    Args:
        spec: The pipeline.
        options: How it runs.
        run_id: The run; a new one if None.
    """
    workspace = Workspace(spec, options or Options(), run_id or new_run_id())
    with Lease(workspace.raw.leases, workspace.run_id):
        remove_leftovers(workspace.folder, workspace.raw.leases)
        try:
            yield workspace
        finally:
            workspace.close()
