"""What a server has after a deployment, and after another one."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from deployed import wait_for

from prefect_etl.deployments.apply import apply
from prefect_etl.errors import ConfigError


@pytest.fixture
def project(factory):
    return factory.project()


@pytest.fixture
def client(api):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as opened:
        yield opened


def actions(changes):
    return {(change.kind, change.action) for change in changes}


def test_the_first_time_makes_everything_and_the_second_nothing(factory, project, client):
    assert actions(factory.deploy(project)) == {
        ("work pool", "created"),
        ("limit", "created"),
        ("deployment", "created"),
        ("automation", "created"),
    }
    assert client.read_work_pool(factory.pool).type == "process"
    before = client.read_deployment_by_name(f"etl/{project.name}")
    assert {action for _, action in actions(factory.deploy(project))} == {"unchanged"}
    assert client.read_deployment_by_name(f"etl/{project.name}") == before


def test_a_dry_run_changes_nothing(factory, project, client):
    from prefect.exceptions import ObjectNotFound

    changes = asyncio.run(apply(factory.production(project), dry=True))
    assert {change.action for change in changes} == {"created"}
    with pytest.raises(ObjectNotFound):
        client.read_deployment_by_name(f"etl/{project.name}")
    with pytest.raises(ObjectNotFound):
        client.read_work_pool(factory.pool)


def test_what_changed_is_told_and_schedules_that_are_gone_are_removed(factory, project, client):
    schedules = [{"cron": "0 6 * * *", "timezone": "Europe/Paris"}, {"interval": "1 hour"}]
    asyncio.run(apply(factory.production(project, schedules=schedules)))
    (first, second) = client.read_deployment_by_name(f"etl/{project.name}").schedules
    assert {first.schedule.timezone, second.schedule.timezone} == {"Europe/Paris", "UTC"}
    again = asyncio.run(apply(factory.production(project, schedules=schedules)))
    assert {change.action for change in again} == {"unchanged"}
    changes = asyncio.run(apply(factory.production(project, schedules=[], version="2")))
    told = {change.name: change.fields for change in changes if change.action != "unchanged"}
    assert set(told[f"etl/{project.name}"]) == {"schedules", "version"}
    assert client.read_deployment_by_name(f"etl/{project.name}").schedules == []


def test_a_schedule_that_was_switched_off_stays_off(factory, project, client):
    schedules = [{"cron": "0 6 * * *"}]
    asyncio.run(apply(factory.production(project, schedules=schedules)))
    deployment = client.read_deployment_by_name(f"etl/{project.name}")
    client.update_deployment_schedule(deployment.id, deployment.schedules[0].id, active=False)
    more = [*schedules, {"cron": "0 7 * * *"}]
    asyncio.run(apply(factory.production(project, schedules=more)))
    present = client.read_deployment_by_name(f"etl/{project.name}").schedules
    assert {each.schedule.cron: each.active for each in present} == {
        "0 6 * * *": False,
        "0 7 * * *": True,
    }


def test_a_paused_deployment_stays_paused_and_that_is_told(factory, project, client):
    factory.deploy(project)
    client.pause_deployment(client.read_deployment_by_name(f"etl/{project.name}").id)
    notes = {change.name: change.note for change in factory.deploy(project)}
    assert "paused" in notes[f"etl/{project.name}"]
    changes = asyncio.run(apply(factory.production(project, version="2")))
    assert "updated" in {change.action for change in changes}
    assert client.read_deployment_by_name(f"etl/{project.name}").paused


def test_what_was_served_and_paused_goes_on_in_a_work_pool(factory, project, client):
    production = factory.production(project)
    asyncio.run(apply(production, served=True))
    served = client.read_deployment_by_name(f"etl/{project.name}")
    assert served.work_pool_name is None
    client.pause_deployment(served.id)
    factory.deploy(project)
    deployed = client.read_deployment_by_name(f"etl/{project.name}")
    assert (deployed.work_pool_name, deployed.paused) == (factory.pool, False)
    asyncio.run(apply(production, served=True))
    assert client.read_deployment_by_name(f"etl/{project.name}").work_pool_name is None


def test_all_flows_of_a_pipeline_share_one_slot(factory, project, client):
    factory.deploy(project)
    limits = {
        client.read_deployment_by_name(f"{flow}/{project.name}").global_concurrency_limit.id
        for flow in ("etl", "extract_raw", "transform")
    }
    assert len(limits) == 1


def test_an_automation_that_is_no_longer_wanted_is_removed(factory, project):
    factory.deploy(project)
    assert ("automation", "removed") in actions(factory.deploy(project, crashed_after=0))
    assert "automation" not in {
        kind for kind, _ in actions(factory.deploy(project, crashed_after=0))
    }


def test_a_notification_block_has_to_exist(factory, project):
    with pytest.raises(ConfigError, match="there is no block slack-webhook/nobody"):
        factory.deploy(project, notify="slack-webhook/nobody")


class _Inbox(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.received.append(self.rfile.read(length).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def inbox():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Inbox)
    server.received = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_late_run_and_a_crashed_one_are_told_of(factory, project, inbox, client):
    from prefect.blocks.notifications import CustomWebhookNotificationBlock
    from prefect.states import Crashed

    name = factory.pool
    CustomWebhookNotificationBlock(
        name=name,
        url=f"http://127.0.0.1:{inbox.server_port}/",
        json_data={"text": "{{subject}}: {{body}}"},
    ).save(name)
    # Ten seconds are the least that Prefect takes; no worker ever comes for this pool.
    factory.deploy(project, notify=f"custom-webhook/{name}", late_after=10.0)
    late = factory.trigger(project)
    wait_for(lambda: any("is late" in text for text in inbox.received), "word of the late run")
    client.set_flow_run_state(late, Crashed(message="gone"), force=True)
    wait_for(lambda: any("Crashed: gone" in text for text in inbox.received), "word of the crash")
    told = json.loads(inbox.received[0])["text"]
    assert f"etl {project.name}" in told
    assert str(late) in told


def test_prefect_deploy_takes_the_file_that_is_written_for_it(factory, project, client):
    from prefect_etl.deployments.prefect_yaml import write

    factory.deploy(project)  # makes the work pool
    schedules = [
        {"cron": "0 6 * * *", "timezone": "Europe/Paris", "parameters": {"only": ["slow"]}}
    ]
    write(factory.production(project, schedules=schedules, version="9"), project.root)
    process = factory.start("prefect", "--no-prompt", "deploy", "--all", cwd=project.root)
    assert process.wait() == 0, factory.output()
    present = client.read_deployment_by_name(f"etl/{project.name}")
    assert (present.version, present.parameters) == ("9", {"pipeline": "pipeline.yaml"})
    assert present.schedules[0].schedule.cron == "0 6 * * *"
    assert present.schedules[0].parameters == {"only": ["slow"]}
    assert present.work_pool_name == factory.pool
    # Who comes back to our command finds only what the settings change.
    assert actions(factory.deploy(project)) >= {("limit", "unchanged"), ("deployment", "updated")}
