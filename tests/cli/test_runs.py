import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from prefect_etl.cli.main import main
from prefect_etl.cli.project import copy_template
from prefect_etl.core.report import RunReport


@pytest.fixture(scope="module")
def loaded(prefect_server, tmp_path_factory):
    """A project that was run once; tests only look at it, or copy it."""
    folder = tmp_path_factory.mktemp("loaded")
    copy_template("blank", folder)
    assert main(["run", str(folder)]) == 0
    return folder


@pytest.fixture
def project(loaded):
    """A project of one's own that was run once."""
    shutil.copytree(loaded, "project")
    return Path("project")


def as_json(capsys, *words):
    capsys.readouterr()
    code = main([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_plan_says_what_a_first_run_would_do_and_writes_nothing(capsys, tmp_path):
    copy_template("blank", tmp_path)
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    code, plan = as_json(capsys, "plan")
    assert code == 0
    assert [(d["dataset"], d["action"]) for d in plan["datasets"]] == [("orders", "load")]
    assert main(["plan"]) == 0
    assert "orders" in capsys.readouterr().out
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


def test_run_ends_with_a_table_of_what_was_loaded(script, prefect_server, tmp_path):
    copy_template("blank", tmp_path)
    done = script("run")
    assert done.returncode == 0, done.stderr
    assert "orders" in done.stdout
    assert "loaded" in done.stdout
    assert "warehouse.duckdb" in done.stdout
    assert done.stderr == ""


def test_a_second_run_has_nothing_to_do(script, project):
    done = script("run", "project", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    values = json.loads(done.stdout)
    assert RunReport.from_json(done.stdout).idle
    assert values["datasets"][0]["status"] == "unchanged"


def test_a_failed_run_ends_with_exit_code_1_and_says_why(script, project):
    (project / "data" / "orders2.csv").write_text("order_id,customer,amount\n1,x,1\n2,y\x00,,,\n")
    done = script("run", "project")
    assert done.returncode == 1, done
    assert "orders failed" in done.stdout
    assert done.stderr == ""


def test_an_unknown_name_is_wrong_use(project, capsys):
    assert main(["run", "project", "--only", "ordres"]) == 2
    assert "did you mean orders?" in capsys.readouterr().err


def test_a_trial_leaves_the_warehouse_alone(project, capsys):
    before = (project / "warehouse.duckdb").read_bytes()
    code, report = as_json(capsys, "run", "project", "--limit", "2")
    assert code == 0
    assert report["datasets"][0]["counts"]["read"] == 2
    assert (project / "warehouse.duckdb").read_bytes() == before


def test_verbose_logs_the_run_to_stderr(script, project):
    done = script("run", "project", "--full-refresh", "-v")
    assert done.returncode == 0, done.stderr
    assert " INFO " in done.stderr


def test_history_lists_runs_newest_first(loaded, capsys):
    code, runs = as_json(capsys, "history", loaded)
    assert (code, [run["status"] for run in runs]) == (0, ["completed"])
    assert main(["history", str(loaded)]) == 0
    assert runs[0]["run_id"] in capsys.readouterr().out


def test_report_prints_the_path_of_the_html_file(loaded, capsys):
    assert main(["report", "--pipeline", str(loaded)]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_report_of_a_run_that_never_was_is_wrong_use(loaded, capsys):
    assert main(["report", "nothing", "-p", str(loaded)]) == 2
    assert "prefect-etl history" in capsys.readouterr().err


def test_state_shows_versions_and_units(loaded, capsys):
    code, state = as_json(capsys, "state", "show", loaded)
    assert (code, state["orders"]["version"]) == (0, 1)
    assert list(state["orders"]["units"]) == ["orders.csv"]
    assert main(["state", "show", str(loaded)]) == 0
    assert "orders" in capsys.readouterr().out


def test_state_reset_makes_the_next_run_load_anew(project, capsys):
    assert main(["state", "reset", "orders", "-p", "project", "--yes"]) == 0
    _, plan = as_json(capsys, "plan", "project")
    assert plan["datasets"][0]["action"] == "load"


def test_state_reset_asks_and_nobody_answers(loaded, capsys, monkeypatch):
    with Path("/dev/null").open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert main(["state", "reset", "orders", "-p", str(loaded)]) == 2
    assert "--yes" in capsys.readouterr().err


def test_quarantine_lists_files_and_shows_rows(loaded, capsys):
    code, files = as_json(capsys, "quarantine", "list", loaded)
    assert code == 0
    assert [(file["dataset"], file["rows"], file["loaded"]) for file in files] == [
        ("orders", 1, True)
    ]
    code, rows = as_json(capsys, "quarantine", "show", "orders", "-p", loaded)
    assert code == 0
    assert [row["_source"] for row in rows] == ["orders.csv"]
    capsys.readouterr()
    assert main(["quarantine", "list", str(loaded)]) == 0
    assert "orders" in capsys.readouterr().out
    assert main(["quarantine", "show", "-p", str(loaded)]) == 0
    assert "orders.csv line " in capsys.readouterr().out


def test_quarantine_show_of_an_unknown_name_is_wrong_use(loaded, capsys):
    assert main(["quarantine", "show", "ordres", "-p", str(loaded)]) == 2
    assert "did you mean orders?" in capsys.readouterr().err


def test_doctor_finds_a_loaded_project_well(loaded, capsys):
    code, checks = as_json(capsys, "doctor", loaded)
    assert code == 0
    found = {check["name"]: check for check in checks}
    assert found["warehouse"]["status"] == "ok"
    assert "1 batch" in found["raw zone"]["detail"]


SLOW = """
import pathlib, time

def rows():
    pathlib.Path("reading").touch()
    time.sleep(2)
    return [{"id": 1}, {"id": 2}]
"""
SLOW_PIPELINE = """
name: slow
destination: duckdb:///slow.duckdb
sources:
  app: {connection: "python://", datasets: {orders: {function: "slow:rows"}}}
"""


def test_ctrl_c_ends_a_run_with_one_line_and_the_next_run_goes_on(script, prefect_server, tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "pipeline.yaml").write_text(SLOW_PIPELINE)
    process = script.start("run")
    while not (tmp_path / "reading").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert told.splitlines()[-1] == "Interrupted. Run again to go on where it ended."

    assert script("run").returncode == 0
    import duckdb

    with duckdb.connect(str(tmp_path / "slow.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT id FROM orders ORDER BY id").fetchall() == [(1,), (2,)]
