"""`prefect-etl copy` to, from and between PostgreSQL databases, also where something is wrong."""

import contextlib
import os
import signal
import subprocess
import sysconfig
import threading
import time
from pathlib import Path

import duckdb
import psycopg
import pytest

from prefect_etl.cli.main import main

COLUMNS = "id bigint, day timestamptz, amount numeric(12,2), name varchar(10), active boolean"
CANARY = "canary-8161"
# Sessions that take rows of a table `slow` now; this one has the text in another form.
_IN_COPY = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND query LIKE 'COPY%slow%STDIN%'"
)


@pytest.fixture
def other(postgres):
    name = postgres.new_database()
    yield postgres.uri(name)
    postgres.drop_database(name)


def execute(uri, sql):
    with psycopg.connect(uri, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def fill(uri, table="t", rows=5):
    execute(
        uri,
        f"CREATE TABLE {table} ({COLUMNS}); INSERT INTO {table} "
        f"SELECT g, 'epoch'::timestamptz + g * interval '1 day', g / 100.0, 'n' || g, g % 2 = 0 "
        f"FROM generate_series(1, {rows}) g",
    )


def test_there_and_back_nothing_changes(pg_uri, other):
    fill(pg_uri)
    for words in ([pg_uri, "duckdb:///w.duckdb"], ["duckdb:///w.duckdb", other]):
        assert main(["copy", *words, "--table", "t"]) == 0
    assert execute(other, "SELECT * FROM t ORDER BY id") == execute(
        pg_uri, "SELECT * FROM t ORDER BY id"
    )


def test_between_servers_rows_go_straight_with_their_own_types(pg_uri, other, capsys):
    fill(pg_uri)
    assert main(["copy", pg_uri, other, "--table", "t"]) == 0
    text = capsys.readouterr().out
    assert "5 rows" in text
    assert "engine" not in text
    kinds = (
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert execute(other, kinds) == execute(pg_uri, kinds)
    assert execute(other, "TABLE t ORDER BY id") == execute(pg_uri, "TABLE t ORDER BY id")
    assert execute(other, "SELECT rows_inserted, version FROM _prefect_etl.loads") == [(5, 1)]


def test_between_servers_modes_filters_columns_and_cursors_work(pg_uri, other):
    fill(pg_uri)
    how = ["copy", pg_uri, other, "--table", "t"]
    assert main([*how, "--cursor", "id", "--columns", "name,id", "--where", "id > 1"]) == 0
    execute(pg_uri, "INSERT INTO t (id, name) VALUES (6, 'six')")
    assert main([*how, "--cursor", "id", "--columns", "name,id", "--where", "id > 1"]) == 0
    assert execute(other, "SELECT array_agg(id ORDER BY id) FROM t") == [([2, 3, 4, 5, 6],)]
    assert main([*how, "--mode", "replace"]) == 0
    assert execute(other, "SELECT count(*), count(amount) FROM t") == [(6, 5)]
    assert main([*how, "--mode", "append"]) == 0
    assert execute(other, "SELECT count(*) FROM t") == [(12,)]


def test_a_type_that_the_other_does_not_have_goes_by_way_of_the_engine(pg_uri, other, capsys):
    execute(pg_uri, "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE t (m mood)")
    execute(pg_uri, "INSERT INTO t VALUES ('happy'), (NULL)")
    assert main(["copy", pg_uri, other, "--table", "t"]) == 0
    assert "column m is of type mood" in capsys.readouterr().out
    assert execute(other, "SELECT m::text FROM t ORDER BY m") == [("happy",), (None,)]


def test_a_table_of_other_types_takes_what_fits(pg_uri, other, capsys):
    fill(pg_uri)
    execute(
        other,
        "CREATE TABLE t (id int, day timestamptz, amount numeric(9,2), name text, active bool)",
    )
    assert main(["copy", pg_uri, other, "--table", "t", "--mode", "append"]) == 0
    assert execute(other, "SELECT count(*) FROM t") == [(5,)]
    execute(pg_uri, "UPDATE t SET id = 5000000000 WHERE id = 5")
    assert main(["copy", pg_uri, other, "--table", "t", "--mode", "append"]) == 1
    assert execute(other, "SELECT count(*) FROM t") == [(5,)]


def test_a_key_merges_into_a_table_of_a_server(pg_uri):
    Path("in.csv").write_text("id,v\n1,a\n2,b\n")
    assert main(["copy", "in.csv", pg_uri, "--into", "t", "--key", "id"]) == 0
    Path("in.csv").write_text("id,v\n2,bb\n3,c\n")
    assert main(["copy", "in.csv", pg_uri, "--into", "t", "--key", "id"]) == 0
    assert execute(pg_uri, "SELECT * FROM t ORDER BY id") == [(1, "a"), (2, "bb"), (3, "c")]


def test_a_copy_that_is_killed_leaves_nothing(pg_uri, other):
    fill(pg_uri, rows=20_000)
    # The server stops in the middle of the rows, for longer than the test takes.
    waiting = "CASE WHEN id = 20000 THEN pg_sleep(30)::text END"
    execute(pg_uri, f"CREATE VIEW slow AS SELECT *, {waiting} AS waited FROM t")
    program = Path(sysconfig.get_path("scripts")) / "prefect-etl"
    words = [program, "copy", pg_uri, other, "--table", "slow"]
    for how, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 20
            while execute(other, _IN_COPY) == [(0,)] and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(process.pid, how)
            assert process.wait(timeout=20) == code
    assert execute(other, "SELECT to_regclass('slow')") == [(None,)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--table", "ordres"], "did you mean orders?"),
        (["--table", "orders", "--columns", "nmae"], "has no column nmae; did you mean name?"),
        (["--table", "orders", "--key", "nmae"], "has no column nmae; did you mean name?"),
        (["--table", "orders", "--cursor", "dya"], "did you mean day?"),
        (["--table", "orders", "--cursor", "active"], "cannot be a cursor"),
        (["--table", "orders", "--where", "nope = 1"], "nope"),
        (["--query", "SELECT nope FROM orders", "--into", "x"], "nope"),
        (["--query", "SELEC 1", "--into", "x"], "syntax error"),
        (["--table", "nulls", "--key", "id"], "the key id is null in a row"),
        (["--table", "secret"], "permission denied"),
    ],
)
def test_what_is_wrong_is_named_and_the_destination_stays(pg_uri, other, capsys, words, said):
    fill(pg_uri, "orders")
    execute(pg_uri, "CREATE TABLE nulls (id int, v int); INSERT INTO nulls VALUES (NULL, 1)")
    execute(pg_uri, "CREATE TABLE secret (id int)")
    with limited(pg_uri) as user:
        assert main(["copy", user, other, *words]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert CANARY not in told
    assert execute(other, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


@contextlib.contextmanager
def limited(uri):
    """The URI of a user who may read some tables only."""
    name = f"reader_{time.monotonic_ns()}"
    execute(uri, f"CREATE ROLE {name} LOGIN PASSWORD '{CANARY}'")
    execute(uri, f"GRANT SELECT ON orders, nulls TO {name}")
    try:
        yield f"postgresql://{name}:{CANARY}@{uri.partition('@')[2]}"
    finally:
        execute(uri, f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_who_is_not_let_in_is_told_why(pg_uri, capsys):
    Path("in.csv").write_text("id\n1\n")
    wrong = f"postgresql://etl:{CANARY}@{pg_uri.partition('@')[2]}"
    assert main(["copy", "in.csv", wrong]) == 1
    assert main(["copy", wrong, "duckdb:///w.duckdb", "--table", "t"]) == 1
    assert main(["copy", "in.csv", f"postgresql://etl:{CANARY}@127.0.0.1:1/x"]) == 1
    assert main(["copy", "in.csv", f"{pg_uri}?sslmode=require".replace("etl:", f"{CANARY}:")]) == 1
    told = capsys.readouterr().err
    assert told.count("password authentication failed") == 2
    assert "Connection refused" in told
    assert "SSL" in told
    assert not Path("w.duckdb").exists()


def test_passwords_are_never_shown(pg_uri, monkeypatch, capsys, caplog):
    fill(pg_uri)
    wrong = f"postgresql://etl:{CANARY}@{pg_uri.partition('@')[2]}"
    monkeypatch.setenv("PREFECT_ETL_CONNECTIONS__SHOP", wrong)
    monkeypatch.setenv("PASSWORD_OF_SHOP", CANARY)
    with_variable = wrong.replace(CANARY, "${PASSWORD_OF_SHOP}")
    for source in (wrong, "shop", with_variable):
        for more in ([], ["--debug"], ["-v"], ["--dry-run"], ["--json"]):
            assert main(["copy", source, "duckdb:///w.duckdb", "--table", "t", *more]) == 1
        assert main(["connections", "test", source]) == 1
        assert main(["connections", "discover", source]) == 1
    assert main(["connections", "list"]) == 0
    said = "".join(capsys.readouterr()) + caplog.text
    assert CANARY not in said
    assert "***" in said


def test_tables_of_a_server_are_listed(pg_uri, capsys):
    fill(pg_uri)
    execute(pg_uri, "ALTER TABLE t ADD PRIMARY KEY (id); ANALYZE t")
    assert main(["connections", "test", pg_uri]) == 0
    assert main(["connections", "discover", pg_uri]) == 0
    text = capsys.readouterr().out
    assert "PostgreSQL" in text
    assert "public.t" in text
    assert duckdb.__version__ not in text


@pytest.mark.parametrize("whose", ["source", "destination"])
def test_a_server_that_hangs_up_in_the_middle_leaves_nothing(pg_uri, other, capsys, whose):
    fill(pg_uri, rows=20_000)
    waiting = "CASE WHEN id = 20000 THEN pg_sleep(30)::text END"
    execute(pg_uri, f"CREATE VIEW slow AS SELECT *, {waiting} AS waited FROM t")
    victim, way = {"source": (pg_uri, "STDOUT"), "destination": (other, "STDIN")}[whose]
    end = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
        f"datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'COPY%{way}%'"
    )

    def hang_up():
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and execute(other, _IN_COPY) == [(0,)]:
            time.sleep(0.05)
        execute(victim, end)

    thread = threading.Thread(target=hang_up)
    thread.start()
    assert main(["copy", pg_uri, other, "--table", "slow"]) == 1
    thread.join()
    assert "slow: " in capsys.readouterr().err
    assert execute(other, "SELECT to_regclass('slow')") == [(None,)]
