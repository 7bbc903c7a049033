"""Runs a pipeline's schedules from one process that lives long; no work pool, no worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner

from prefect_etl.deployments.apply import Change, apply
from prefect_etl.deployments.deployment import HEARTBEAT_SECONDS
from prefect_etl.deployments.production import Production
from prefect_etl.errors import Retriable
from prefect_etl.orchestration.apart import run_apart

AGAIN_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


class _Applied(RunnerDeployment):
    """A deployment that the server has already, as a runner takes it."""

    id: UUID

    async def aapply(self, *_: Any, **__: Any) -> UUID:
        """Nothing is left to do; Prefect's own way knows no limit that deployments share."""
        return self.id


def serve(
    production: Production,
    find_server: Callable[[], object],
    ready: Callable[[list[Change]], None],
) -> None:
    """Serve until Ctrl-C or SIGTERM; schedules are paused then, and go on when served again.

    A server that goes away is waited for.

    Args:
        production: What to run.
        find_server: Makes sure that there is a Prefect API; called again when it goes away.
        ready: Told what changed at the server; once.

    Raises:
        KeyboardInterrupt: It was told to stop, and has.
        ConfigError: The notification block does not exist.
        Retriable: The server does not answer from the start.
    """
    find_server()
    run_apart(lambda: _serve(production, find_server, ready))


async def _serve(
    production: Production,
    find_server: Callable[[], object],
    ready: Callable[[list[Change]], None],
) -> None:
    told = False
    while True:
        runner = Runner(
            name=f"prefect-etl {production.pipeline}",
            limit=1,
            pause_on_shutdown=True,
            heartbeat_seconds=HEARTBEAT_SECONDS,
        )
        try:
            changes = await apply(production, served=True)
            for change in changes:
                if change.kind == "deployment" and change.id is not None:
                    await runner.aadd_deployment(_Applied(id=change.id, name=change.name))
            if not told:
                ready(changes)
                told = True
            await _run(runner)
        # The runner's services give up together after a few polls without an answer.
        except (Retriable, HTTPError, RuntimeError, ExceptionGroup) as error:
            if not told:
                raise
            _LOG.warning("the Prefect server does not answer; trying again: %s", _cause(error))
        await asyncio.sleep(AGAIN_SECONDS)
        await asyncio.to_thread(find_server)


async def _run(runner: Runner) -> None:
    running = asyncio.create_task(runner.start(webserver=False))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        # A runner that is only cancelled kills its runs and tells nobody: they would hold their
        # slot for minutes. One that is stopped ends them and says so.
        if runner.started:
            await runner.astop()
        else:
            running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        raise


def _cause(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
