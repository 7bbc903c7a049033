import json

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
