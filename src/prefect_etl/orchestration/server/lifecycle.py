"""Find, start and stop the local server; one for all processes of a user.

Two locks make it safe. ``start.lock`` is held by whoever starts or stops the server, so that of
two first runs one starts it and the other finds it. ``server.lock`` is held by the server process
itself for as long as it lives, so that a process id in the record is trusted only while the kernel
vouches for it, and two servers never share a database, whoever was killed in between.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from prefect_etl.errors import BusyError, Fatal
from prefect_etl.orchestration.server.configured import configured_api
from prefect_etl.orchestration.server.home import ServerHome
from prefect_etl.orchestration.server.info import ServerInfo
from prefect_etl.orchestration.server.locks import holding, is_held
from prefect_etl.orchestration.server.probe import HOST, identity, is_healthy
from prefect_etl.orchestration.server.spawn import log_tail, spawn

START_SECONDS = 120.0
STOP_SECONDS = 15.0
HUNG_SECONDS = 30.0
ANSWER_SECONDS = 3.0
POLL_SECONDS = 0.05


def ensure_server(
    *,
    home: Path | None = None,
    idle_minutes: float | None = None,
    start_seconds: float = START_SECONDS,
) -> ServerInfo:
    """Give a Prefect API that works: the configured one, the running one, or a new local one.

    Args:
        home: The folder of local servers; ``PREFECT_ETL_HOME`` or ``~/.prefect_etl`` by default.
        idle_minutes: How long a new server may be idle before it stops, 0 for ever;
            ``PREFECT_ETL_SERVER_IDLE_MINUTES`` or 60 by default.
        start_seconds: How long to wait for a new server; the first start makes its database.

    Raises:
        Fatal: the server did not start; the message ends with its log.
        BusyError: another process has been starting or stopping it for too long.
        StorageError: its folder cannot be made.
    """
    if chosen := configured_api():
        return chosen
    place = ServerHome.locate(home)
    if found := _find(place, touch=True):
        return found
    deadline = time.monotonic() + start_seconds
    with place.in_use(), holding(place.start_lock, start_seconds) as mine:
        if not mine:
            raise BusyError(
                f"Another process has been starting or stopping the local Prefect server in"
                f" {place.folder} for {start_seconds:.0f} seconds.",
                hint=f"Look at {place.log}, or run `prefect-etl server stop`.",
            )
        # The one before us may have started it while we waited for the lock.
        found = _find(place, touch=True) or _await_living(place, deadline)
        return found or _start(place, idle_minutes, deadline)


def server_status(*, home: Path | None = None) -> ServerInfo | None:
    """The local server that is running and healthy, or None; asking does not count as use."""
    found = _find(ServerHome.locate(home), touch=False)
    return found if found and is_healthy(found.port, ANSWER_SECONDS) else None


def stop_server(*, home: Path | None = None, seconds: float = STOP_SECONDS) -> bool:
    """Stop the local server: politely, and after ``seconds`` by force.

    Returns:
        Whether there was one.

    Raises:
        BusyError: another process is just starting it.
        Fatal: it runs under another user, or did not end.
    """
    place = ServerHome.locate(home)
    if not place.folder.exists():
        return False
    with place.in_use(), holding(place.start_lock, START_SECONDS) as mine:
        if not mine:
            raise BusyError(f"Another process is just starting the server in {place.folder}.")
        runs = is_held(place.server_lock)
        _end(place, seconds)
        return runs


def _find(place: ServerHome, *, touch: bool) -> ServerInfo | None:
    state = place.read_state()
    if state is None or not state.ready:
        return None
    answer = identity(state.port, ANSWER_SECONDS, touch=touch)
    if answer is None or answer.get("token") != state.token:
        return None
    root = f"http://{HOST}:{state.port}"
    return ServerInfo(url=f"{root}/api", ui_url=root, pid=state.pid, home=place.folder)


def _await_living(place: ServerHome, deadline: float) -> ServerInfo | None:
    """Wait for a server that lives but does not serve; end it when it hangs.

    It may be starting, its starter killed; or stopping, just now idle; or hung.
    """
    hung = time.monotonic() + HUNG_SECONDS
    while is_held(place.server_lock):
        if found := _find(place, touch=True):
            return found
        state = place.read_state()
        limit = hung if state is None or state.ready else deadline
        if time.monotonic() >= limit:
            _end(place, seconds=0)
            return None
        time.sleep(POLL_SECONDS)
    return None


def _start(place: ServerHome, idle_minutes: float | None, deadline: float) -> ServerInfo:
    # No record may name a process that is not the lock's holder: `_end` signals whom it names.
    place.forget_process()
    began = place.log.stat().st_size if place.log.exists() else 0
    spawn(place, idle_minutes)
    while time.monotonic() < deadline:
        if not is_held(place.server_lock):
            raise Fatal(
                f"The local Prefect server ended while it started.\n{log_tail(place, began)}",
                hint=f"Its whole log is {place.log}; `prefect-etl doctor` checks the machine.",
            )
        found = _find(place, touch=True)
        if found and is_healthy(found.port, ANSWER_SECONDS):
            return found
        time.sleep(POLL_SECONDS)
    _end(place, seconds=1)
    raise Fatal(
        f"The local Prefect server did not serve in time.\n{log_tail(place, began)}",
        hint=f"Its whole log is {place.log}; is the machine very busy? Then run this again.",
    )


def _end(place: ServerHome, seconds: float) -> None:
    polite = time.monotonic() + seconds
    forced = polite + STOP_SECONDS
    asked = False
    while is_held(place.server_lock):
        now = time.monotonic()
        if now >= forced:
            raise Fatal(f"The local Prefect server in {place.folder} does not end.")
        # While the lock is held, the record's process id is the holder's own.
        state = place.read_state()
        if state and state.pid and (not asked or now >= polite):
            _signal(state.pid, signal.SIGKILL if now >= polite else signal.SIGTERM)
            asked = True
        time.sleep(POLL_SECONDS)
    place.forget_process()


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended on its own between the look at its lock and now
    except PermissionError as error:
        raise Fatal(
            f"The local Prefect server (process {pid}) belongs to another user.",
            hint="Set PREFECT_ETL_HOME to a folder of your own.",
        ) from error
