"""The server's own process: ``python -m prefect_etl.orchestration.server.launcher FOLDER``.

Prefect's app, API, UI and services in one process under uvicorn, on a free port of the loopback
address. It leaves its starter's session, holds the folder's lock while it lives, keeps a record of
itself, and ends on SIGTERM or when it has been idle for long enough.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from prefect_etl.orchestration.server.home import ServerHome, ServerState
from prefect_etl.orchestration.server.locks import acquire
from prefect_etl.orchestration.server.probe import HOST
from prefect_etl.orchestration.server.spawn import IDLE_VARIABLE

if TYPE_CHECKING:
    import uvicorn

    from prefect_etl.orchestration.server.activity import Activity

DEFAULT_IDLE_MINUTES = 60.0
LOCK_SECONDS = 5.0
CLOSE_SECONDS = 3
START_TICK_SECONDS = 0.02
IDLE_TICK_SECONDS = 0.5
EXIT_LOCKED = 75


def main(folder: str) -> None:
    """Take the lock, leave the starter behind, serve until told to stop or idle."""
    place = ServerHome(Path(folder))
    idle_seconds = 60 * float(os.environ.get(IDLE_VARIABLE) or DEFAULT_IDLE_MINUTES)
    if acquire(place.server_lock, LOCK_SECONDS) is None:
        sys.exit(EXIT_LOCKED)
    if os.fork():
        os._exit(0)  # the child shares the lock; the starter need not reap it
    signal.signal(signal.SIGTERM, _quit)
    previous = place.read_state()
    listener = _bind(previous.port if previous else 0)
    state = ServerState(os.getpid(), listener.getsockname()[1], secrets.token_hex(16), ready=False)
    place.write_state(state)
    try:
        asyncio.run(_serve(place, state, listener, idle_seconds))
    finally:
        listener.close()


def _quit(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    sys.exit(0)


def _bind(port: int) -> socket.socket:
    # The last port again if it is free: bookmarks and processes that hold the address stay valid.
    # TCP by name: asyncio turns Nagle's delay off, 40 ms an answer, only where it knows it is TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.bind((HOST, 0))
    return listener


async def _serve(
    place: ServerHome, state: ServerState, listener: socket.socket, idle_seconds: float
) -> None:
    os.environ["PREFECT_SERVER_API_HOST"] = HOST
    os.environ["PREFECT_SERVER_API_PORT"] = str(state.port)
    os.environ["PREFECT_SERVER_UI_API_URL"] = f"http://{HOST}:{state.port}/api"
    import uvicorn
    from prefect.server.api.server import create_app

    from prefect_etl.orchestration.server.activity import Activity
    from prefect_etl.orchestration.server.sqlite import begin_immediate

    begin_immediate(os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"])
    app = Activity(create_app(final=True), state.token)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="on",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=CLOSE_SECONDS,
        )
    )
    watch = asyncio.create_task(_watch(server, app, place, state, idle_seconds))
    try:
        await server.serve(sockets=[listener])
    finally:
        watch.cancel()


async def _watch(
    server: uvicorn.Server,
    app: Activity,
    place: ServerHome,
    state: ServerState,
    idle_seconds: float,
) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, not an event
        await asyncio.sleep(START_TICK_SECONDS)
    app.touch()  # the start itself is not idleness
    place.write_state(replace(state, ready=True))
    while not idle_seconds or app.idle_seconds() < idle_seconds:  # noqa: ASYNC110 - time passes
        await asyncio.sleep(IDLE_TICK_SECONDS)
    app.close()
    server.should_exit = True


if __name__ == "__main__":
    main(sys.argv[1])
