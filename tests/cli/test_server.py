from __future__ import annotations

import json
from pathlib import Path

import pytest

from prefect_etl.cli import server
from prefect_etl.orchestration.server import ServerInfo


def test_start_and_status_name_the_pages_of_the_running_server(
    prefect_server: ServerInfo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.start() == 0
    assert prefect_server.ui_url in capsys.readouterr().out
    assert server.status() == 0
    shown = capsys.readouterr().out
    assert f"process {prefect_server.pid}" in shown
    assert f"{prefect_server.home}\n" in shown, "a path stays in one piece"


def test_status_for_a_program_is_one_json_object(
    prefect_server: ServerInfo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.status(json=True) == 0
    assert json.loads(capsys.readouterr().out) == {
        "running": True,
        "configured": False,
        "url": prefect_server.url,
        "ui_url": prefect_server.ui_url,
        "pid": prefect_server.pid,
        "home": str(prefect_server.home),
    }


@pytest.fixture
def _no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_ETL_HOME", str(tmp_path))


@pytest.mark.usefixtures("_no_server")
def test_without_a_server_status_and_stop_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert (server.status(), server.stop()) == (0, 0)
    assert capsys.readouterr().out.splitlines() == [
        "No local Prefect server runs; a run starts it when it needs it.",
        "No local Prefect server runs.",
    ]
    server.status(json=True)
    assert json.loads(capsys.readouterr().out)["running"] is False


@pytest.mark.usefixtures("_no_server")
def test_a_configured_api_is_named_and_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://chosen.example/api"}):
        server.start()
        server.status(json=True)
    shown = capsys.readouterr().out
    assert "is configured" in shown
    assert json.loads(shown[shown.index("{") :])["configured"] is True
