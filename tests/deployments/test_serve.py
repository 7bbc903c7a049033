"""One process that serves a pipeline: it runs what is due, and ends cleanly."""

from __future__ import annotations

import os
import signal
import time

import pytest
from deployed import EXACT, wait_for

from prefect_etl.orchestration.server import server_status, stop_server

SOAK = os.environ.get("PREFECT_ETL_SOAK") == "1"


def serving(factory, project, **variables):
    process = factory.start("prefect-etl", "serve", str(project.file), **variables)
    before = factory.output().count("Serving;")

    def ready():
        return factory.output().count("Serving;") > before or process.poll() is not None

    wait_for(ready, "the process to serve")
    assert process.poll() is None, factory.output()
    return process


def deployment_of(project):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(f"etl/{project.name}")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_in_the_middle_of_a_run_and_goes_on_when_started_again(sent, factory):
    project = factory.project()
    process = serving(factory, project)
    project.hold()
    run = factory.trigger(project)
    held = project.reached()
    process.send_signal(sent)
    time.sleep(1)
    project.release()  # a user's function cannot be stopped from outside
    assert process.wait() == 0, factory.output()
    assert "Stopped; the schedules are paused" in factory.output().splitlines()[-1]
    with pytest.raises(ProcessLookupError):
        os.kill(held, 0)
    assert factory.ended(run) in ("Crashed", "Cancelled", "Completed")
    assert deployment_of(project).paused
    assert factory.used_slots(factory.production(project)) == 0
    serving(factory, project)
    assert not deployment_of(project).paused
    assert factory.ended(factory.trigger(project)) == "Completed", factory.output()
    assert project.tables() == EXACT


@pytest.mark.skipif(not SOAK, reason="takes most of a minute")
def test_a_local_server_that_goes_away_is_started_again(factory, monkeypatch, tmp_path):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    home = tmp_path / "home"
    with temporary_settings({PREFECT_API_URL: None}):
        monkeypatch.delenv("PREFECT_API_URL")
        project = factory.project()
        serving(factory, project, PREFECT_ETL_HOME=str(home), PREFECT_API_URL="")
        first = server_status(home=home)
        os.kill(first.pid, signal.SIGKILL)
        second = wait_for(lambda: server_status(home=home), "another server")
        assert second.pid != first.pid
        try:
            with temporary_settings({PREFECT_API_URL: second.url}):
                assert factory.ended(factory.trigger(project)) == "Completed", factory.output()
        finally:
            stop_server(home=home, seconds=0)
    assert project.tables() == EXACT
