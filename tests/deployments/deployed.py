"""Projects, workers and runs of the tests of deployments."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from prefect_etl.config.settings import Settings
from prefect_etl.deployments.apply import Change, apply
from prefect_etl.deployments.production import Production, production
from prefect_etl.orchestration.server import ServerInfo

PIPELINE = """\
name: {name}
destination: duckdb:///warehouse.duckdb
sources:
  landing:
    connection: file://./data
    datasets:
      events: {{path: "*.csv"}}
  code:
    connection: python://
    datasets:
      slow: {{function: "models:slow", write: replace}}
transformations:
  total: {{sql: "SELECT count(*) AS events FROM events"}}
"""
# Says that it runs, and goes on when the file `hold` is gone.
MODELS = """\
import os, time
from pathlib import Path

HERE = Path(__file__).parent

def slow():
    yield {"n": 1}
    (HERE / "reached").write_text(str(os.getpid()))
    while (HERE / "hold").exists():
        time.sleep(0.02)
    yield {"n": 2}
"""
FILES = 3
ROWS = [(file, row) for file in range(FILES) for row in range(100)]
# No test fails on a slow machine; this ends one that would never end.
PATIENCE = 300.0


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first answer that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
    return found


class Project:
    """A folder with a pipeline that can be held in its middle."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.file = root / "pipeline.yaml"
        (root / "data").mkdir(parents=True)
        self.file.write_text(PIPELINE.format(name=name))
        (root / "models.py").write_text(MODELS)
        for file in range(FILES):
            lines = "".join(f"{file},{row}\n" for row in range(100))
            (root / f"data/{file}.csv").write_text("file,row\n" + lines)

    def hold(self) -> None:
        """The next run stops in its middle."""
        (self.root / "reached").unlink(missing_ok=True)
        (self.root / "hold").touch()

    def release(self) -> None:
        (self.root / "hold").unlink()

    def reached(self) -> int:
        """The process that is held."""
        path = self.root / "reached"
        return int(wait_for(lambda: path.exists() and path.read_text(), "the middle of the run"))

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        import duckdb

        with duckdb.connect(str(self.root / "warehouse.duckdb"), read_only=True) as connection:
            return {
                table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall())
                for table, columns in (("events", "file, row"), ("slow", "n"), ("total", "*"))
            }


EXACT = {"events": ROWS, "slow": [(1,), (2,)], "total": [(len(ROWS),)]}


class Factory:
    """Makes projects and workers, and asks the server."""

    def __init__(self, folder: Path, api: ServerInfo) -> None:
        self._folder, self._api = folder, api
        self.pool = f"pool-{uuid4().hex[:8]}"
        self._started: list[subprocess.Popen[bytes]] = []

    def project(self) -> Project:
        name = f"shop_{uuid4().hex[:8]}"
        return Project(self._folder / name, name)

    def production(self, project: Project, **settings: Any) -> Production:
        given = {"work_pool": self.pool, **settings}
        return production(project.file, Settings(deployment=given))

    def deploy(self, project: Project, **changed: Any) -> list[Change]:
        return asyncio.run(apply(replace(self.production(project), **changed)))

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program; killed after the test."""
        process = start(self._folder, self._api, *words, **options)
        self._started.append(process)
        return process

    def output(self) -> str:
        return (self._folder / "output.log").read_text(errors="replace")

    def start_worker(self) -> Any:
        """A worker of this test, to be killed."""
        return self.start("prefect", "worker", "start", "--pool", self.pool)

    def trigger(self, project: Project, flow: str = "etl") -> UUID:
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(f"{flow}/{project.name}")
            return client.create_flow_run_from_deployment(deployment.id).id

    def run(self, run: UUID) -> Any:
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            return client.read_flow_run(run)

    def ended(self, run: UUID) -> str:
        """The name of the state in which a run ends."""

        def name() -> str | None:
            state = self.run(run).state
            return state.name if state.is_final() else None

        return str(wait_for(name, f"the end of {run}"))

    def state(self, run: UUID, *names: str) -> str:
        """Wait for a state; its message."""

        def found() -> Any:
            state = self.run(run).state
            return state if state.name in names else None

        return str(wait_for(found, f"{run} to be {names}").message)

    def open_runs(self, project: Project) -> set[UUID]:
        """Runs of a pipeline that have not ended, those inside others too."""
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

        tags = FlowRunFilterTags(all_=[f"pipeline:{project.name}"])
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(tags=tags))
        return {run.id for run in runs if run.state and not run.state.is_final()}

    def used_slots(self, production: Production) -> int:
        from prefect.client.orchestration import get_client

        async def ask() -> int:
            async with get_client() as client:
                limit = await client.read_global_concurrency_limit_by_name(production.limit)
                return limit.active_slots

        return asyncio.run(ask())

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()


def start(
    folder: Path, api: ServerInfo, *words: str, cwd: Path | None = None, **variables: str
) -> subprocess.Popen[bytes]:
    """Start a program of the virtual environment, in an empty folder by default."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    environment = os.environ | {
        "PREFECT_API_URL": api.url,
        "PREFECT_WORKER_QUERY_SECONDS": "0.5",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        **variables,
    }
    environment.pop("PREFECT_ETL_SERVER_URL", None)
    with (folder / "output.log").open("ab") as log:
        return subprocess.Popen(
            [Path(sysconfig.get_path("scripts")) / words[0], *words[1:]],
            cwd=cwd or elsewhere,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # Ctrl-C may be ignored where tests run, and children would inherit that.
            preexec_fn=_hear_interrupts,  # noqa: PLW1509 - it takes no lock
        )


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
