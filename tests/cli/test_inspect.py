"""`prefect-etl inspect`, as a user runs it."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from prefect_etl.cli.main import main

TOWNS = "town;people\nUlm;128000\nBonn;331000\n"


def test_columns_and_first_rows_are_shown(tmp_path, capsys):
    (tmp_path / "towns.csv").write_text(TOWNS)
    assert main(["inspect", "towns.csv", "-n", "1"]) == 0
    said = capsys.readouterr().out
    assert "people  BIGINT   128000" in said
    assert "Bonn" not in said


def test_the_draft_is_a_dataset_that_reads_the_file(tmp_path, capsys):
    (tmp_path / "towns.csv").write_text(TOWNS)
    assert main(["inspect", "towns.csv"]) == 0
    draft = yaml.safe_load(capsys.readouterr().out.partition("In the pipeline file:")[2])
    assert draft["towns"]["path"] == "towns.csv"
    pins = [f"--pin={key}={value}" for key, value in draft["towns"].items() if key != "path"]
    assert main(["inspect", "towns.csv", *pins, "--json"]) == 0
    columns = json.loads(capsys.readouterr().out)["columns"]
    assert [column["name"] for column in columns] == ["town", "people"]


def test_a_parquet_file_is_looked_at_too(tmp_path, capsys):
    pq.write_table(pa.table({"n": [1, 2], "s": ["a", None]}), tmp_path / "a.parquet")
    assert main(["inspect", "a.parquet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == [["1", "a"], ["2", None]]
    assert found["columns"][0] == {"name": "n", "type": "BIGINT", "example": "1"}


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("n,\x1b[31mred\n1,\x1b]0;title\x07\n")
    assert main(["inspect", "a.csv"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_wrong_pin_is_wrong_use(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("n\n1\n")
    assert main(["inspect", "a.csv", "--pin", "delimeter=;"]) == 2
    assert "no pin delimeter" in capsys.readouterr().err


def test_a_pin_without_a_value_is_wrong_use(capsys):
    assert main(["inspect", "a.csv", "--pin", "delimiter"]) == 2
    assert "not KEY=VALUE" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told_of(capsys):
    assert main(["inspect", "a.csv"]) == 1
    assert "there is no file a.csv" in capsys.readouterr().err
