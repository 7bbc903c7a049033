import json
import subprocess
import sys
from pathlib import Path

import pytest

from prefect_etl.cli.checks import check_all
from prefect_etl.cli.checks.machine import check_disk, check_memory
from prefect_etl.cli.checks.surroundings import check_server
from prefect_etl.cli.main import main

HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def project():
    main(["init", ".", "--template", "blank"])
    return Path("pipeline.yaml")


@pytest.fixture
def holder():
    started = []

    def hold(path, how):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process.pid

    yield hold
    for process in started:
        process.communicate("")


def found(path="pipeline.yaml", **options):
    checks = list(check_all(Path(path), required=True, **options))
    return {check.name: check for check in checks}


def make_warehouse():
    import duckdb

    with duckdb.connect("warehouse.duckdb") as connection:
        connection.execute("CREATE TABLE t(i INT)")


def test_all_is_well_in_a_new_project(script, project):
    done = script("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert {line[:4] for line in done.stdout.splitlines()} == {"ok  "}
    assert "warehouse.duckdb: will be made by the first run" in done.stdout


def test_json_has_every_check(capsys, project):
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)
    assert {"name", "status", "detail", "mend"} == set(checks[0])
    assert [check["name"] for check in checks] == [
        "versions",
        "settings",
        "memory",
        "disk",
        "server",
        "resources",
        "pipeline",
        "warehouse",
        "raw zone",
    ]


def test_without_a_pipeline_file_the_rest_is_checked(capsys):
    assert main(["doctor"]) == 0
    assert "prefect-etl init" in capsys.readouterr().out


def test_a_pipeline_file_that_was_asked_for_must_exist(capsys):
    assert main(["doctor", "other.yaml"]) == 1
    assert "fail" in capsys.readouterr().out


def test_wrong_settings_fail(capsys):
    Path("prefect_etl.toml").write_text("memory_limt = '1GiB'\n")
    assert main(["doctor"]) == 1
    assert "did you mean memory_limit?" in capsys.readouterr().out


def test_settings_are_told_with_their_places(monkeypatch, capsys):
    monkeypatch.setenv("PREFECT_ETL_THREADS", "2")
    monkeypatch.setenv("PREFECT_ETL_THRAEDS", "2")
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "threads from environment" in text
    assert "PREFECT_ETL_THRAEDS: unknown setting; did you mean PREFECT_ETL_THREADS?" in text


def test_a_wrong_pipeline_file_fails(project, capsys):
    project.write_text("nmae: x\n")
    assert main(["doctor"]) == 1
    assert "did you mean name?" in capsys.readouterr().out


def test_a_warehouse_is_told_with_its_tables(project):
    make_warehouse()
    check = found()["warehouse"]
    assert check.status == "ok"
    assert "1 table" in check.detail


@pytest.mark.parametrize("how", ["write", "read"])
def test_a_warehouse_that_is_held_is_told_with_its_holder(project, holder, how):
    make_warehouse()
    pid = holder("warehouse.duckdb", how)
    check = found()["warehouse"]
    assert check.status == "warn"
    assert (f"process {pid}" if how == "write" else "is read by another process") in check.detail


def test_a_file_that_is_no_warehouse_fails(project):
    Path("warehouse.duckdb").write_text("no database at all" * 100)
    assert found()["warehouse"].status == "fail"


def test_a_damaged_raw_zone_fails(project):
    batch = Path(".prefect_etl/my_pipeline/raw/orders/batches/00000000-r-12345678")
    batch.mkdir(parents=True)
    (batch / "manifest.json").write_text("{")
    check = found()["raw zone"]
    assert check.status == "fail"
    assert check.mend.startswith("Remove ")


def test_leftovers_of_dead_runs_are_counted(project):
    Path(".prefect_etl/my_pipeline/raw/orders/batches/.new-00000000-r-12345678").mkdir(parents=True)
    check = found()["raw zone"]
    assert (check.status, "1 unfinished one" in check.detail) == ("ok", True)


def test_a_limit_beyond_the_machine_warns():
    assert check_memory("4GiB", physical=4_000_000_000).status == "warn"
    assert check_memory("1GiB", physical=4_000_000_000).status == "ok"


def test_a_folder_that_cannot_be_written_fails():
    check = check_disk(Path("/proc/1/nothing"))
    assert check.status == "fail"
    assert "PREFECT_ETL_DATA_DIR" in check.mend


def test_a_configured_server_that_does_not_answer_fails(monkeypatch, tmp_path):
    # The checks must not depend on whether another test imported Prefect before.
    monkeypatch.setattr(
        "prefect_etl.orchestration.server.configured._asked_of_prefect",
        lambda: "http://127.0.0.1:9/api",
    )
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    check = check_server(tmp_path)
    assert (check.status, "does not answer" in check.detail) == ("fail", True)
