from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from prefect_etl.errors import BusyError, Fatal, StorageError
from prefect_etl.orchestration.server import ensure_server, server_status, stop_server
from prefect_etl.orchestration.server.home import ServerHome, ServerState
from prefect_etl.orchestration.server.locks import holding, is_held
from prefect_etl.orchestration.server.probe import identity

Program = Callable[..., subprocess.Popen[str]]

ENSURE = """
    import sys
    from prefect_etl.orchestration.server import ensure_server
    print(ensure_server().pid, "prefect" in sys.modules)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():  # the suite's own limit ends a test that waits for ever
        time.sleep(0.05)


def test_two_first_runs_start_one_server_without_importing_prefect(
    empty_home: Path, program: Program
) -> None:
    runs = [program(ENSURE), program(ENSURE)]
    answers = [run.communicate()[0].split() for run in runs]
    assert answers[0] == answers[1]
    status = server_status(home=empty_home)
    assert status is not None
    assert answers[0] == [str(status.pid), "False"]


def test_life_of_a_server(home: Path) -> None:
    """One server for several behaviours: a start takes seconds."""
    assert server_status(home=home) is None
    info = ensure_server(home=home)
    assert info.pid is not None
    assert info == server_status(home=home) == ensure_server(home=home)
    page = info.flow_run_url("0c3d2a6e-0000-4000-8000-000000000000")
    with urlopen(Request(page, headers={"Accept": "text/html"})) as answer:
        assert b"<title>Prefect Server</title>" in answer.read()
    with urlopen(f"{info.ui_url}/ui-settings") as answer:
        assert json.load(answer)["api_url"] == info.url
    assert listening_addresses(info.port) == {"127.0.0.1"}

    os.kill(info.pid, signal.SIGKILL)
    wait_until(lambda: not is_held(ServerHome.locate(home).server_lock))
    assert server_status(home=home) is None
    replaced = ensure_server(home=home)
    assert replaced.pid != info.pid
    assert replaced.url == info.url, "bookmarks and waiting processes keep their address"

    assert stop_server(home=home)
    assert not is_held(ServerHome.locate(home).server_lock)
    assert server_status(home=home) is None
    assert not stop_server(home=home)
    assert "Traceback" not in ServerHome.locate(home).log.read_text()


def listening_addresses(port: int) -> set[str]:
    found = set()
    for address in {"127.0.0.1", *socket.gethostbyname_ex(socket.gethostname())[2]}:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((address, port)) == 0:
                found.add(address)
    return found


def test_a_hung_server_is_replaced(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect_etl.orchestration.server import lifecycle

    monkeypatch.setattr(lifecycle, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(lifecycle, "HUNG_SECONDS", 1.0)
    first = ensure_server(home=home)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    second = ensure_server(home=home)
    assert second.pid != first.pid


def test_an_idle_server_stops_by_itself_and_a_used_one_does_not(home: Path) -> None:
    info = ensure_server(home=home, idle_minutes=1 / 60)
    port = info.port
    lock = ServerHome.locate(home).server_lock
    with socket.create_connection(("127.0.0.1", port)) as open_request:
        # A request whose body never comes: as long as it is open the server is in use.
        open_request.sendall(
            b"POST /api/flow_runs/filter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
        )
        wait_until(lambda: (identity(port, 5) or {})["idle_seconds"] == 0)
        time.sleep(2)
        assert is_held(lock)
    wait_until(lambda: not is_held(lock))
    assert server_status(home=home) is None


def test_a_server_whose_starter_was_killed_is_waited_for_not_doubled(
    home: Path, program: Program
) -> None:
    lock = ServerHome.locate(home).server_lock
    starter = program(ENSURE)
    wait_until(lambda: is_held(lock))
    starter.kill()
    starter.wait()
    first = ServerHome.locate(home).read_state()
    info = ensure_server(home=home)
    assert first is None or first.pid in {0, info.pid}


def test_another_server_on_the_recorded_port_is_not_taken_for_ours(empty_home: Path) -> None:
    place = ServerHome.locate(empty_home)
    place.folder.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as impostor:
        port = impostor.getsockname()[1]
        place.write_state(ServerState(pid=os.getpid(), port=port, token="t", ready=True))
        from threading import Thread

        def answer() -> None:
            connection, _ = impostor.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n{}")

        thread = Thread(target=answer)
        thread.start()
        assert server_status(home=empty_home) is None
        thread.join()
    assert not stop_server(home=empty_home), "the process in a stale record is never signalled"


def test_a_start_that_fails_shows_the_log(empty_home: Path) -> None:
    place = ServerHome.locate(empty_home)
    place.folder.mkdir(parents=True)
    place.database.mkdir()  # SQLite cannot open a folder
    with pytest.raises(Fatal, match=r"ended while it started[\s\S]*unable to open database file"):
        ensure_server(home=empty_home)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="PREFECT_ETL_HOME"):
        ensure_server(home=tmp_path / "file")


def test_a_start_that_another_holds_up_says_so(empty_home: Path) -> None:
    place = ServerHome.locate(empty_home)
    place.folder.mkdir(parents=True)
    with holding(place.start_lock, 0) as mine:
        assert mine
        with pytest.raises(BusyError, match="starting or stopping"):
            ensure_server(home=empty_home, start_seconds=0.1)


def test_answers_are_not_held_back_by_nagle() -> None:
    """asyncio sets TCP_NODELAY only on sockets that name TCP; else each answer takes 40 ms more."""
    from prefect_etl.orchestration.server.launcher import _bind

    with _bind(0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
