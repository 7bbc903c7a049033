"""The commands that show, export and replay rows that were put aside."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from prefect_etl.cli.main import main
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import load_pipeline
from prefect_etl.pipeline.workspace import open_workspace

PIPELINE = """\
name: shop
destination: duckdb:///warehouse.duckdb
sources:
  landing:
    connection: file://./data
    datasets:
      orders:
        path: "*.csv"
        contract: {columns: {v: {ge: LEAST}, said: {nullable: false}}}
"""


def contract(least: int) -> None:
    Path("pipeline.yaml").write_text(PIPELINE.replace("LEAST", str(least)))


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in the current folder, with three rows in quarantine."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/a.csv").write_text("id,v,said\n1,5,hello\n2,-1,=1+1\n3,-9,plain\n")
    Path("data/b.csv").write_text('id,v,said\n4,-2,"\t=2"\n')
    contract(0)
    with open_workspace(load_pipeline(Path("pipeline.yaml"))) as workspace:
        assert run_pipeline(workspace).status == "completed"
    return tmp_path


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main(["quarantine", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def exported(name: str) -> list[dict[str, str]]:
    with Path(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_list_counts_what_is_open(loaded, capsys):
    assert main(["quarantine", "list"]) == 0
    said = capsys.readouterr().out
    assert "1 open with 3 rows, 0 closed" in said


def test_show_gives_the_rows_of_a_rule_and_a_file(loaded, capsys):
    rows = as_json(capsys, "show", "orders", "--rule", "v.ge", "--source", "b.csv")
    assert [row["id"] for row in rows] == [4]
    assert as_json(capsys, "show", "orders", "--rule", "said.nullable") == []


def test_show_tells_where_a_row_is(loaded, capsys):
    assert main(["quarantine", "show", "orders"]) == 0
    said = capsys.readouterr().out
    assert "a.csv line 3: v is less than 0 (v.ge)" in said or "a.csv row 2: v is" in said


def test_export_writes_csv_as_it_is(loaded):
    assert main(["quarantine", "export", "orders", "--to", "out.csv"]) == 0
    rows = exported("out.csv")
    assert [row["said"] for row in rows] == ["=1+1", "plain", "\t=2"]
    assert [(row["v"], row["_rules"]) for row in rows[:1]] == [("-1", "v.ge")]


def test_export_escapes_formulas_when_asked(loaded):
    assert main(["quarantine", "export", "orders", "--to", "out.csv", "--escape-formulas"]) == 0
    rows = exported("out.csv")
    assert [row["said"] for row in rows] == ["'=1+1", "plain", "'\t=2"]
    assert rows[0]["v"] == "-1"


def test_export_writes_parquet_by_its_ending(loaded):
    assert main(["quarantine", "export", "orders", "--to", "out.parquet"]) == 0
    assert duckdb.execute("SELECT sum(v) FROM 'out.parquet'").fetchall() == [(-12,)]


def test_export_does_not_overwrite_and_knows_two_endings(loaded, capsys):
    Path("out.csv").write_text("mine")
    assert main(["quarantine", "export", "orders", "--to", "out.csv"]) == 2
    assert main(["quarantine", "export", "orders", "--to", "out.xlsx"]) == 2
    assert ".csv or .parquet" in capsys.readouterr().err
    assert Path("out.csv").read_text() == "mine"


def test_replay_loads_what_passes_and_closes_the_file(loaded, prefect_server, capsys):
    contract(-5)
    report = as_json(capsys, "replay", "orders")
    assert report["status"] == "completed"
    assert [d["counts"]["inserted"] for d in report["datasets"]] == [2]
    with duckdb.connect("warehouse.duckdb") as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchall() == [(3,)]
    states = [(entry["rows"], bool(entry["closed"])) for entry in as_json(capsys, "list")]
    assert states == [(1, False), (3, True)]


def test_replay_of_an_unknown_name_is_wrong_use(loaded, capsys):
    assert main(["quarantine", "replay", "ordres"]) == 2
    assert "did you mean orders?" in capsys.readouterr().err


def test_replay_of_nothing_says_so(loaded, capsys):
    Path(".prefect_etl").rename("elsewhere")
    assert main(["quarantine", "replay"]) == 0
    assert "nothing is open" in capsys.readouterr().out
