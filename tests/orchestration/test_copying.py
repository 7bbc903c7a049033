"""Copies as tasks of a flow, and connections that blocks keep."""

import duckdb
import prefect
import pytest
from prefect.blocks.system import Secret

from prefect_etl import ConfigError, copy_table, flow
from prefect_etl.cli.main import main
from prefect_etl.config import secrets
from prefect_etl.orchestration.blocks import uri_of_block

CANARY = "canary-2077"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(prefect_server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders.csv").write_text("id,v\n1,a\n2,b\n")
    yield
    secrets.forget_secrets()


def rows(file):
    with duckdb.connect(file, read_only=True) as connection:
        return connection.execute("SELECT * FROM orders ORDER BY id").fetchall()


def test_a_copy_is_a_task_of_any_flow():
    @prefect.flow
    def nightly():
        there = copy_table("orders.csv", "duckdb:///w.duckdb")
        back = copy_table.submit("duckdb:///w.duckdb", "duckdb:///v.duckdb", table="orders")
        return there, back.result()

    there, back = nightly()
    assert (there.counts.inserted, back.counts.inserted) == (2, 2)
    assert rows("v.duckdb") == [(1, "a"), (2, "b")]


def test_a_copy_that_is_wrong_fails_its_task_at_once():
    @flow
    def nightly():
        return copy_table("nothing.csv", "duckdb:///w.duckdb")

    with pytest.raises(ConfigError, match=r"no file nothing\.csv"):
        nightly()


def test_a_block_keeps_a_connection(tmp_path, capsys):
    Secret(value=f"duckdb:///{tmp_path}/{CANARY}.duckdb").save("shop", overwrite=True)
    assert main(["copy", "orders.csv", "block:secret/shop"]) == 0
    assert rows(f"{CANARY}.duckdb") == [(1, "a"), (2, "b")]
    assert main(["connections", "discover", "block:Secret/shop"]) == 0
    assert "main.orders" in capsys.readouterr().out


def test_the_password_of_a_block_is_never_shown(capsys):
    Secret(value=f"postgresql://etl:{CANARY}@127.0.0.1:1/x").save("shut", overwrite=True)
    assert main(["copy", "orders.csv", "block:secret/shut", "--debug"]) == 1
    said = "".join(capsys.readouterr())
    assert "Connection refused" in said
    assert CANARY not in said


def test_a_block_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="no block secret/nobody"):
        uri_of_block("secret/nobody")
    Secret(value="no uri").save("words", overwrite=True)
    with pytest.raises(ConfigError, match="keeps no URI"):
        uri_of_block("secret/words")
