"""`prefect-etl copy`, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from prefect_etl.cli.main import main

ORDERS = "id,name,amount\n1,ann,2.5\n2,bob,3\n"


@pytest.fixture
def orders(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(ORDERS)
    return path


def rows(query, file="w.duckdb"):
    with duckdb.connect(file, read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_last_line_says_what_was_copied(orders, capsys):
    assert main(["copy", "orders.csv", "duckdb:///w.duckdb"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("2 rows, ")
    assert line.endswith(" s, orders.csv -> main.orders (new)")


def test_programs_get_json(orders, capsys):
    assert main(["copy", "orders.csv", "duckdb:///w.duckdb", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["counts"]["inserted"], report["table"]) == (2, "main.orders")


def test_a_dry_run_shows_the_table_and_writes_nothing(orders, tmp_path, capsys):
    assert main(["copy", "orders.csv", "duckdb:///w.duckdb", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "CREATE TABLE main.orders (" in text
    assert "  id BIGINT,\n  name VARCHAR,\n  amount DOUBLE" in text
    assert not (tmp_path / "w.duckdb").exists()


def test_prefect_is_neither_imported_nor_started(orders):
    program = (
        "import sys\nfrom prefect_etl.cli.main import main\n"
        "code = main(['copy', 'orders.csv', 'duckdb:///w.duckdb'])\n"
        "print([name for name in ('prefect', 'pandas', 'polars') if name in sys.modules])\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_pipes_go_in_and_out(orders, script):
    there = script("copy", "-", "duckdb:///w.duckdb", "--into", "t", input=ORDERS)
    assert there.returncode == 0, there.stderr
    back = script("copy", "duckdb:///w.duckdb", "-", "--query", "FROM t ORDER BY id")
    assert back.stdout == "id,name,amount\n1,ann,2.5\n2,bob,3.0\n"
    assert "2 rows" in back.stderr
    lines = script("copy", "duckdb:///w.duckdb", "-", "--table", "t", "--format", "jsonl")
    assert {json.loads(line)["name"] for line in lines.stdout.splitlines()} == {"ann", "bob"}


def test_a_reader_that_has_seen_enough_ends_the_copy(tmp_path, script):
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS id FROM range(1000000)")
    with script.start("copy", "duckdb:///w.duckdb", "-", "--table", "t") as process:
        assert process.stdout.readline() == "id\n"
        process.stdout.close()
        assert (process.wait(timeout=30), process.stderr.read()) == (0, "")


def test_names_are_given_one_by_one_or_with_commas(orders):
    (orders.parent / "orders.csv").write_text("a,b,v\n1,1,x\n1,1,y\n")
    assert main(["copy", "orders.csv", "duckdb:///w.duckdb", "--key", "a,b"]) == 0
    assert main(["copy", "orders.csv", "duckdb:///v.duckdb", "--key", "a", "--key", "b"]) == 0
    assert rows("SELECT v FROM orders") == rows("SELECT v FROM orders", "v.duckdb") == [("y",)]


def test_a_schema_is_copied_table_by_table(capsys):
    with duckdb.connect("s.duckdb") as connection:
        connection.execute("CREATE TABLE a AS SELECT 1 AS id; CREATE TABLE b AS SELECT 2 AS id")
        connection.execute("CREATE VIEW broken AS SELECT id FROM a; ALTER TABLE a RENAME id TO x")
    words = ["copy", "duckdb:///s.duckdb", "duckdb:///w.duckdb", "--table", "main.*"]
    assert main([*words, "--exclude", "broken", "--dry-run"]) == 0
    assert "CREATE TABLE main.b (" in capsys.readouterr().out
    assert not Path("w.duckdb").exists()
    assert main([*words, "--exclude", "broken"]) == 0
    assert main([*words, "--mode", "replace"]) == 1
    text = capsys.readouterr().out
    assert "main.broken" in text
    assert "failed" in text
    assert rows("SELECT * FROM b") == [(2,)]


def test_connections_are_named_in_the_settings_or_by_variables(orders, monkeypatch):
    monkeypatch.setenv("PREFECT_ETL_CONNECTIONS__SHOP", "duckdb:///shop.duckdb")
    monkeypatch.setenv("FOLDER", "deep")
    assert main(["copy", "orders.csv", "shop"]) == 0
    assert main(["copy", "shop", "duckdb:///${FOLDER}.duckdb", "--table", "orders"]) == 0
    assert rows("SELECT count(*) FROM orders", "deep.duckdb") == [(2,)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["orders.csv"], "DEST"),
        (["ordres.csv", "duckdb:///w.duckdb"], "did you mean orders.csv"),
        (["orders.csv", "somewhere"], "is no connection"),
        (["orders.csv", "duckdb:///w.duckdb", "--mode", "apend"], "did you mean append"),
        (["orders.csv", "duckdb:///w.duckdb", "--mode", "merge"], "needs key"),
        (["orders.csv", "duckdb:///w.duckdb", "--table", "t"], "SOURCE is a file"),
        (["duckdb:///w.duckdb", "-"], "--table NAME or --query SQL"),
        (["duckdb:///w.duckdb", "duckdb:///v.duckdb", "--query", "FROM t"], "--into"),
        (["orders.csv", "oracle://x/y"], "no connector answers oracle://"),
        (["orders.csv", "duckdb:///${UNSET}"], "UNSET is not set"),
        (["-", "duckdb:///w.duckdb"], "say --into"),
    ],
)
def test_wrong_use_is_told_and_ends_with_2(orders, capsys, monkeypatch, words, said):
    with orders.open("rb") as stdin:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": stdin}))
        assert main(["copy", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_missing_table_is_named_with_the_nearest_and_ends_with_1(orders, capsys):
    main(["copy", "orders.csv", "duckdb:///w.duckdb"])
    assert main(["copy", "duckdb:///w.duckdb", "-", "--table", "ordres"]) == 1
    said = capsys.readouterr().err
    assert "did you mean orders?" in said
    assert "pipeline file" not in said
