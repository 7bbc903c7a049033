"""What settings say of deployments, as values; nothing is sent anywhere."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import yaml
from deployed import Project

from prefect_etl.config.settings import Settings, load_settings
from prefect_etl.deployments.prefect_yaml import render, write
from prefect_etl.deployments.production import ENTRYPOINTS, production
from prefect_etl.errors import ConfigError


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project", "shop")


def made(project, **deployment):
    found = production(project.file, Settings(deployment=deployment))
    return {deployment.flow: deployment for deployment in found.deployments}


def test_a_pipeline_has_three_deployments_named_after_it(project):
    assert [each.full_name for each in made(project).values()] == [
        "etl/shop",
        "extract_raw/shop",
        "transform/shop",
    ]


def test_prefect_reads_and_imports_the_flows_by_their_module_path():
    from prefect.flows import load_flow_arguments_from_entrypoint, load_flow_from_entrypoint

    for name, entrypoint in ENTRYPOINTS.items():
        assert load_flow_arguments_from_entrypoint(entrypoint)["name"] == name
        assert load_flow_from_entrypoint(entrypoint).name == name


def test_schedules_are_cron_or_interval_in_their_time_zone(project):
    deployments = made(
        project,
        timezone="Europe/Paris",
        schedules=[
            {"cron": "0 6 * * MON-FRI", "parameters": {"only": ["events"]}},
            {"interval": "15 minutes", "flow": "transform", "timezone": "Asia/Tokyo"},
        ],
    )
    assert [asdict(each) for each in deployments["etl"].schedules] == [
        {
            "when": {"cron": "0 6 * * MON-FRI", "timezone": "Europe/Paris", "day_or": True},
            "parameters": {"only": ["events"]},
        }
    ]
    (interval,) = deployments["transform"].schedules
    assert interval.when == {
        "interval": 900,
        "anchor_date": "2024-01-01T00:00:00+09:00",
        "timezone": "Asia/Tokyo",
    }
    assert deployments["extract_raw"].schedules == ()


def test_a_schedule_may_be_for_one_pipeline_of_several(project):
    schedules = [{"cron": "1 * * * *", "pipeline": "shop"}, {"cron": "2 * * * *", "pipeline": "b"}]
    (only,) = made(project, schedules=schedules)["etl"].schedules
    assert only.when["cron"] == "1 * * * *"


def test_a_wrong_cron_expression_is_wrong_configuration(project):
    with pytest.raises(ConfigError, match="'every day' is no cron expression"):
        made(project, schedules=[{"cron": "every day"}])


def test_a_schedule_of_a_dataset_that_is_not_there_is_wrong_configuration(project):
    with pytest.raises(ConfigError, match=r"no dataset or transformation event; did you mean"):
        made(project, schedules=[{"interval": 900, "parameters": {"only": ["event"]}}])


def test_the_file_is_found_from_the_projects_folder(project, monkeypatch):
    deployment = made(project)["etl"]
    assert deployment.directory == str(project.root.resolve())
    assert deployment.parameters == {"pipeline": "pipeline.yaml"}
    monkeypatch.chdir(project.root.parent)
    elsewhere = made(project, working_dir="/srv/etl")["etl"]
    assert elsewhere.directory == "/srv/etl"
    assert elsewhere.parameters == {"pipeline": "project/pipeline.yaml"}
    with pytest.raises(ConfigError, match="not an absolute path"):
        made(project, working_dir="srv")


def test_the_settings_decide_pool_tags_version_and_collisions(project):
    deployment = made(project, work_pool="night", tags=["nightly"], version="7", collision="skip")[
        "etl"
    ]
    assert deployment.work_pool == "night"
    assert deployment.tags == ("pipeline:shop", "nightly")
    assert deployment.version == "7"
    assert deployment.collision == "CANCEL_NEW"


def test_no_secret_reaches_a_deployment_or_prefect_yaml(project, monkeypatch):
    monkeypatch.setenv("PREFECT_ETL_CONNECTIONS__OPS", "duckdb:///hunter2.duckdb?password=hunter2")
    text = project.file.read_text().replace("duckdb:///warehouse.duckdb", "ops")
    project.file.write_text(text)
    found = production(project.file, load_settings(project.root))
    assert "hunter2" not in json.dumps([asdict(each) for each in found.deployments], default=str)
    assert "hunter2" not in render(found)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ('work_poll = "x"', "deployment.work_poll: unknown setting; did you mean work_pool?"),
        ('work_pool = "prefect-x"', "Prefect keeps those that begin with prefect"),
        ('timezone = "Mars/Base"', "should be a time zone, such as Europe/Paris"),
        ("crashed_after = 20", "should be 90 seconds or more, or 0 for never"),
        ('notify = "ops"', "should be a block's type and name"),
        ('schedules = [{crn = "* * * * *"}]', "crn: unknown setting; did you mean cron?"),
        ("schedules = [{}]", "a schedule needs either cron or interval"),
        ('schedules = [{interval = "soon"}]', "should be a length of time, such as 15 minutes"),
        (
            'schedules = [{cron = "* * * * *", parameters = {pipeline = "b"}}]',
            "the flow etl takes only and full_refresh, not pipeline",
        ),
    ],
)
def test_wrong_settings_are_told_with_their_place(settings, fault, project):
    path = project.root / "prefect_etl.toml"
    path.write_text(f"[deployment]\n{settings}\n")
    with pytest.raises(ConfigError) as told:
        load_settings(project.root)
    assert fault in str(told.value)
    assert f"{path}: deployment." in str(told.value)


def test_prefect_yaml_is_written_again_but_never_over_somebody_elses(project):
    found = production(project.file, Settings())
    path, changed = write(found, project.root)
    assert changed
    assert write(found, project.root) == (path, False)
    assert [each["name"] for each in yaml.safe_load(path.read_text())["deployments"]] == [
        "shop"
    ] * 3
    path.write_text("name: mine\n")
    with pytest.raises(ConfigError, match="not written by prefect-etl"):
        write(found, project.root)
