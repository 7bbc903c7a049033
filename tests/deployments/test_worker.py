"""A real server and real workers: deployed, triggered, killed, and exact in the end."""

from __future__ import annotations

import os
import signal
from itertools import pairwise

import pytest
from deployed import EXACT, ROWS, wait_for
from prefect.settings import PREFECT_API_URL, temporary_settings

from prefect_etl.orchestration.server import ensure_server

SOAK = os.environ.get("PREFECT_ETL_SOAK") == "1"


def test_a_worker_in_any_folder_runs_what_was_deployed(factory, worker):
    project = factory.project()
    factory.deploy(project)
    assert factory.ended(factory.trigger(project)) == "Completed", factory.output()
    assert project.tables() == EXACT


def test_an_inner_flow_runs_alone(factory, worker):
    project = factory.project()
    factory.deploy(project)
    assert factory.ended(factory.trigger(project, "extract_raw")) == "Completed", factory.output()
    assert list(project.root.rglob("*.parquet"))
    assert not (project.root / "warehouse.duckdb").exists()


def test_two_runs_of_a_pipeline_run_one_after_the_other(factory, worker):
    project = factory.project()
    factory.deploy(project)
    project.hold()
    first = factory.trigger(project)
    project.reached()
    second, third = factory.trigger(project), factory.trigger(project, "transform")
    for waiting in (second, third):
        factory.state(waiting, "AwaitingConcurrencySlot")
    assert factory.run(first).state.is_running()
    project.release()
    assert [factory.ended(run) for run in (first, second, third)] == ["Completed"] * 3
    spans = sorted(
        (run.start_time, run.end_time) for run in map(factory.run, (first, second, third))
    )
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert project.tables() == EXACT


def test_a_killed_flow_is_crashed_its_slot_is_free_and_the_next_run_is_exact(factory, worker):
    project = factory.project()
    factory.deploy(project)
    project.hold()
    run = factory.trigger(project)
    process = project.reached()
    assert factory.used_slots(factory.production(project)) == 1
    os.kill(process, signal.SIGKILL)
    assert "-9" in factory.state(run, "Crashed")
    assert factory.used_slots(factory.production(project)) == 0
    project.release()
    assert factory.ended(factory.trigger(project)) == "Completed", factory.output()
    assert project.tables() == EXACT


def test_where_a_worker_is_killed_another_one_goes_on_and_ends_exact(factory):
    project = factory.project()
    factory.deploy(project)
    worker = factory.start_worker()
    project.hold()
    run = factory.trigger(project)
    project.reached()
    worker.kill()
    worker.wait()
    project.release()
    # The flow's process is alive; it ends where it prints to a worker that is gone.
    assert factory.ended(run) in ("Completed", "Crashed")
    assert factory.used_slots(factory.production(project)) == 0
    (project.root / "data/later.csv").write_text("file,row\n9,9\n")
    factory.start_worker()
    assert factory.ended(factory.trigger(project)) == "Completed", factory.output()
    assert project.tables()["events"] == [*ROWS, (9, 9)]


def test_where_worker_and_flow_die_together_the_run_is_found_dead_and_the_next_is_exact(factory):
    project = factory.project()
    factory.deploy(project, crashed_after=10.0)  # the least that Prefect takes
    worker = factory.start_worker()
    project.hold()
    run = factory.trigger(project)
    process = project.reached()
    worker.kill()
    os.kill(process, signal.SIGKILL)
    worker.wait()
    project.release()
    next_run = factory.trigger(project)
    assert "No heartbeat" in factory.state(run, "Crashed")
    wait_for(lambda: factory.open_runs(project) <= {next_run}, "the run inside to be found dead")
    factory.start_worker()
    assert factory.ended(next_run) == "Completed", factory.output()
    assert project.tables() == EXACT


@pytest.mark.skipif(not SOAK, reason="takes most of a minute")
def test_a_run_keeps_its_slot_and_ends_exact_where_the_server_is_killed_and_started_again(
    factory, worker, server, monkeypatch
):
    project = factory.project()
    factory.deploy(project)
    project.hold()
    run = factory.trigger(project)
    project.reached()
    os.kill(server.pid, signal.SIGKILL)
    with monkeypatch.context() as local:
        local.delenv("PREFECT_API_URL")
        with temporary_settings({PREFECT_API_URL: None}):
            again = ensure_server(home=server.home.parents[1], idle_minutes=30)
    assert again.url == server.url
    waiting = factory.trigger(project)
    factory.state(waiting, "AwaitingConcurrencySlot")
    project.release()
    assert [factory.ended(each) for each in (run, waiting)] == ["Completed"] * 2, factory.output()
    assert factory.used_slots(factory.production(project)) == 0
    assert project.tables() == EXACT
