from __future__ import annotations

import os
from threading import Thread

import pytest
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from prefect_etl.orchestration.server import ServerInfo, use_server
from prefect_etl.orchestration.server.use import point_at


def in_a_thread() -> str | None:
    found: list[str | None] = []
    thread = Thread(target=lambda: found.append(get_current_settings().api.url))
    thread.start()
    thread.join()
    return found[0]


def test_prefect_that_was_imported_before_uses_the_server_in_all_threads(
    prefect_server: ServerInfo,
) -> None:
    assert get_current_settings().api.url == prefect_server.url
    assert get_current_settings().ui_url == prefect_server.ui_url
    assert in_a_thread() == prefect_server.url
    assert os.environ["PREFECT_API_URL"] == prefect_server.url


def test_using_the_server_again_finds_the_same_one(prefect_server: ServerInfo) -> None:
    assert use_server() == prefect_server


def test_a_block_of_temporary_settings_gets_the_server_for_its_length(
    prefect_server: ServerInfo,
) -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert get_current_settings().api.url is None
        use_server()
        assert get_current_settings().api.url == prefect_server.url
    assert get_current_settings().api.url == prefect_server.url


def test_an_api_chosen_for_a_block_is_left_alone(prefect_server: ServerInfo) -> None:
    with temporary_settings({PREFECT_API_URL: "http://chosen.example/api"}):
        assert use_server() == ServerInfo("http://chosen.example/api", "http://chosen.example")
        assert get_current_settings().api.url == "http://chosen.example/api"


def test_pointing_at_a_configured_api_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = get_current_settings().api.url
    point_at(ServerInfo("http://chosen.example/api", "http://chosen.example"))
    assert get_current_settings().api.url == before
