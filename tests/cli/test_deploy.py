import json
import os

import pytest
import yaml

from prefect_etl.cli.main import main

PIPELINE = """\
name: {name}
destination: duckdb:///w.duckdb
sources: {{landing: {{connection: "file://./data", datasets: {{orders: {{path: "*.csv"}}}}}}}}
"""
SETTINGS = """\
[deployment]
work_pool = "{name}"
timezone = "Europe/Paris"
[[deployment.schedules]]
cron = "0 6 * * *"
"""


@pytest.fixture
def name(tmp_path, request):
    found = "".join(letter for letter in request.node.name if letter.isalnum())[-40:].lower()
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.format(name=found))
    (tmp_path / "prefect_etl.toml").write_text(SETTINGS.format(name=found))
    return found


def test_deploy_says_what_it_made_and_what_to_do_next(name, prefect_server, capsys):
    assert main(["deploy"]) == 0
    told = capsys.readouterr().out
    assert f"etl/{name}" in told
    assert "6 changed, 0 as they were." in told
    assert f"etl/{name}: 0 6 * * * (Europe/Paris)" in told
    assert f"PREFECT_API_URL={prefect_server.url} prefect worker start --pool {name}" in told
    assert main(["deploy"]) == 0
    assert "0 changed, 6 as they were." in capsys.readouterr().out


def test_deploy_tells_that_the_local_server_does_not_last(name, prefect_server, capsys):
    main(["deploy"])
    told = capsys.readouterr().out
    assert (
        "the local Prefect server of this machine, and stops 60 minutes after its last use" in told
    )
    assert "prefect server start" in told


def test_a_dry_run_tells_programs_what_would_change(name, prefect_server, capsys):
    assert main(["deploy", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pipeline"], told["dry_run"], told["changed"]) == (name, True, True)
    assert {each["action"] for each in told["changes"]} == {"created"}
    main(["deploy", "--json"])
    first = json.loads(capsys.readouterr().out)
    assert all(each["id"] for each in first["changes"]), "nothing was made by the dry run"
    main(["deploy", "--json"])
    assert json.loads(capsys.readouterr().out)["changed"] is False


def test_yaml_writes_the_file_and_asks_no_server(name, tmp_path, capsys):
    assert main(["deploy", "--yaml", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert not (tmp_path / "prefect.yaml").exists()
    assert main(["deploy", "--yaml"]) == 0
    assert "prefect.yaml written." in capsys.readouterr().out
    written = (tmp_path / "prefect.yaml").read_text()
    assert written == shown
    (first, *_) = yaml.safe_load(written)["deployments"]
    assert first["entrypoint"] == "prefect_etl.flows.main.etl"
    assert first["work_pool"]["name"] == name
    (tmp_path / "prefect.yaml").write_text("name: mine\n")
    assert main(["deploy", "--yaml"]) == 2
    assert "was not written by prefect-etl" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["deploy", "serve"])
def test_wrong_settings_are_wrong_use(command, name, tmp_path, capsys):
    (tmp_path / "prefect_etl.toml").write_text('[deployment]\ntimezone = "Mars"\n')
    assert main([command]) == 2
    assert "deployment.timezone: should be a time zone" in capsys.readouterr().err


def test_a_missing_pipeline_file_is_wrong_use(prefect_server, capsys):
    assert main(["deploy", "nowhere.yaml"]) == 2
    assert "there is no pipeline file nowhere.yaml" in capsys.readouterr().err


def test_a_server_that_does_not_answer_is_told_with_what_to_do(name, script):
    done = script("deploy", env=os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    assert done.returncode == 1
    assert "Error: the Prefect server at http://127.0.0.1:9/api does not answer" in done.stderr
    assert "set PREFECT_API_URL" in done.stderr
