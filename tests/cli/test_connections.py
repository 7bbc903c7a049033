import json

import duckdb

from prefect_etl.cli.main import main


def test_connections_are_listed_without_their_secrets(monkeypatch, capsys):
    monkeypatch.setenv("PREFECT_ETL_CONNECTIONS__OPS", "duckdb:///ops.duckdb")
    monkeypatch.setenv("PREFECT_ETL_CONNECTIONS__OLD", "oracle://etl:hunter2@db/old")
    assert main(["connections", "list", "--json"]) == 0
    text = capsys.readouterr().out
    assert "hunter2" not in text
    found = json.loads(text)
    assert [row["name"] for row in found["connections"]] == ["old", "ops"]
    old, ops = found["connections"]
    assert old["error"] == "no connector answers oracle://"
    assert (ops["connector"], ops["error"]) == ("duckdb", None)
    assert ops["uri"].startswith("duckdb:///")
    assert "duckdb" in found["schemes"]


def test_connections_are_a_table_for_people(monkeypatch, capsys):
    monkeypatch.setenv("PREFECT_ETL_CONNECTIONS__OPS", "duckdb:///ops.duckdb")
    assert main(["connections", "list"]) == 0
    text = capsys.readouterr().out
    assert "ops" in text
    assert "Schemes: duckdb, file" in text


def test_where_none_are_the_way_to_one_is_told(capsys):
    assert main(["connections", "list"]) == 0
    assert "PREFECT_ETL_CONNECTIONS__" in capsys.readouterr().out


def test_a_connection_is_tried_by_name_uri_or_variable(monkeypatch, capsys):
    duckdb.connect("ops.duckdb").close()
    monkeypatch.setenv("PREFECT_ETL_CONNECTIONS__OPS", "duckdb:///ops.duckdb")
    monkeypatch.setenv("FILE_OF_OPS", "ops.duckdb")
    for text in ("ops", "duckdb:///ops.duckdb", "duckdb:///${FILE_OF_OPS}"):
        assert main(["connections", "test", text]) == 0
        assert "DuckDB" in capsys.readouterr().out


def test_a_connection_that_leads_nowhere_fails(capsys):
    assert main(["connections", "test", "duckdb:///nothing.duckdb"]) == 1
    assert main(["connections", "test", "file://./nothing"]) == 1
    assert main(["connections", "discover", "nothing"]) == 2
    assert main(["connections", "discover", "file://."]) == 2
    said = capsys.readouterr().err
    assert "there is no DuckDB file" in said
    assert "no connection is called nothing" in said
    assert "have no tables to list" in said


def test_tables_are_listed_with_keys_and_rows(capsys):
    with duckdb.connect("ops.duckdb") as connection:
        connection.execute("CREATE TABLE orders (id INT, day DATE, PRIMARY KEY (id))")
        connection.execute("INSERT INTO orders SELECT range, NULL FROM range(3)")
        connection.execute("CREATE SCHEMA old; CREATE VIEW old.orders AS SELECT id FROM orders")
    assert main(["connections", "discover", "duckdb:///ops.duckdb", "--json"]) == 0
    table, view = json.loads(capsys.readouterr().out)
    assert table == {
        "schema": "main",
        "name": "orders",
        "kind": "table",
        "key": ["id"],
        "rows": 3,
        "columns": {"id": "INTEGER", "day": "DATE"},
    }
    assert (view["schema"], view["kind"], view["rows"]) == ("old", "view", None)
    assert main(["connections", "discover", "duckdb:///ops.duckdb"]) == 0
    assert "main.orders" in capsys.readouterr().out
    assert main(["connections", "discover", "duckdb:///ops.duckdb", "--table", "old.*"]) == 0
    assert "main.orders" not in capsys.readouterr().out
    assert main(["connections", "discover", "duckdb:///ops.duckdb", "--table", "ordres"]) == 1
    assert "did you mean orders?" in capsys.readouterr().err
