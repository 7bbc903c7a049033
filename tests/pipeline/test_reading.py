"""`prefect_etl.read`: one file, folder, table or query, in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import prefect_etl
from prefect_etl.errors import ConfigError, SourceReadError


def test_a_file_is_a_table_in_the_order_of_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n,s\n" + "".join(f"{n},x{n}\n" for n in range(70_000)))
    found = prefect_etl.read(path)
    assert found.table.column("n").to_pylist() == list(range(70_000))
    assert str(found) == "70000 rows of 2 columns"


def test_a_folder_is_one_table_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for n in range(3):
        (tmp_path / "in" / f"{n}.jsonl").write_text(json.dumps({"n": n}) + "\n")
    assert prefect_etl.read(tmp_path / "in").table.column("n").to_pylist() == [0, 1, 2]


def test_pins_are_those_of_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n|s\n1|x\n2|y\n")
    found = prefect_etl.read(
        str(tmp_path / "a.csv"),
        delimiter="|",
        types={"n": "VARCHAR"},
        columns={"rename": {"s": "t"}},
        where="n <> '1'",
    )
    assert found.table.to_pylist() == [{"n": "2", "t": "y"}]


def test_a_pin_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1\n")
    with pytest.raises(ConfigError, match=r"no pin delimeter.*delimiter"):
        prefect_etl.read(tmp_path / "a.csv", delimeter="|")


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(SourceReadError, match=r"there is no file .*a\.csv"):
        prefect_etl.read(tmp_path / "a.csv")


def test_a_table_of_a_database_is_read_by_its_uri(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT)")
        connection.execute("INSERT INTO t VALUES (1, 'a'), (2, NULL)")
    connection.close()
    found = prefect_etl.read(f"sqlite:///{tmp_path}/shop.db", table="t")
    assert found.table.to_pylist() == [{"id": 1, "s": "a"}, {"id": 2, "s": None}]


def test_a_type_that_does_not_hold_is_guessed_again(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n" + "1\n" * 30_000 + "x\n")
    assert prefect_etl.read(tmp_path / "a.csv").table.column("n").to_pylist()[-1] == "x"


def test_nothing_is_left_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    (tmp_path / "a.csv").write_text("n\n1\n")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    prefect_etl.read(tmp_path / "a.csv")
    assert list((tmp_path / "tmp").iterdir()) == []
