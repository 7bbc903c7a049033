"""What becomes of a result in PostgreSQL: tables, views, incremental tables, and their ledger."""

from __future__ import annotations

import re
import threading
import time
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest

from prefect_etl.connectors.postgres.connection import PostgresConnection
from prefect_etl.connectors.postgres.transforms.tables import PostgresTransforms
from prefect_etl.connectors.transforming import Publication, Published
from prefect_etl.errors import (
    BusyError,
    ConfigError,
    DataError,
    SchemaError,
    UnreachableError,
    VersionConflict,
)
from prefect_etl.pipeline.transform import build
from servers.proxy import COMMIT, LoseAnswer, LoseMessage, Proxy

VALUES = "SELECT * FROM (VALUES ('AA', 10), ('AA', 20), ('UA', 5)) t(carrier, n)"


def test_a_table_is_made_of_the_tables_that_its_sql_names(project):
    project.load("flights", VALUES)
    ran = project.run(
        late={"sql": "SELECT carrier FROM delays WHERE n > $least", "parameters": {"least": 6}},
        delays={"sql": "SELECT carrier, sum(n) AS n FROM flights GROUP BY carrier"},
    )
    assert list(ran) == ["delays", "late"]
    assert project.rows("SELECT * FROM delays") == [("AA", 30), ("UA", 5)]
    assert project.rows("SELECT * FROM late") == [("AA",)]
    report = project.reports["delays"]
    found = (report.status, report.rows, report.version, report.reads)
    assert found == ("built", 2, 1, ("flights",))


def test_types_stay_exact(project):
    project.execute("CREATE TYPE mood AS ENUM ('sad', 'fine')")
    project.load(
        "t",
        "SELECT 1.25::numeric(9,2) AS d, 1e-30::numeric AS n, 'x'::varchar(3) AS v, "
        "'{1,2}'::int[] AS l, 'sad'::mood AS e, '5 days'::interval AS i, NULL::uuid AS u, "
        '\'{"b": 1, "b": 2}\'::json AS j, \'infinity\'::timestamptz AS "T t"',
    )
    project.run(copied={"sql": "SELECT * FROM t"})
    assert project.types("copied") == project.types("t")
    assert project.rows("SELECT c::text FROM copied c") == project.rows("SELECT t::text FROM t")


def test_with_nothing_new_nothing_runs_and_a_new_version_runs_what_reads_it(project):
    specs = {"a": {"sql": "SELECT n FROM t"}, "b": {"sql": "SELECT n FROM a"}}
    project.load("t", "SELECT 1 AS n")
    project.run(**specs)
    assert project.run(**specs) == {}
    project.load("t", "SELECT 2 AS n")
    assert project.run(**specs) == {
        "a": ("t changed: version 1 -> 2",),
        "b": ("a changes in this run",),
    }
    assert project.rows("SELECT n FROM b") == [(2,)]


def test_what_hangs_on_a_table_survives_its_next_build(project):
    project.load("t", "SELECT 1 AS n")
    project.run(x={"sql": "SELECT n FROM t"})
    project.execute(
        "CREATE INDEX by_n ON x (n); CREATE VIEW theirs AS SELECT n FROM x; "
        "GRANT SELECT ON x TO PUBLIC"
    )
    project.load("t", "SELECT 2 AS n")
    project.run(x={"sql": "SELECT n, 'new' AS more FROM t"})
    assert project.rows("SELECT * FROM theirs") == [(2,)]
    assert project.rows("SELECT * FROM x") == [(2, "new")]
    assert project.rows(
        "SELECT has_table_privilege('pg_monitor', 'x', 'SELECT'), to_regclass('by_n') IS NULL"
    ) == [(True, False)]


def test_a_column_that_a_view_of_others_needs_is_not_dropped(project):
    project.load("t", "SELECT 1 AS n")
    project.run(x={"sql": "SELECT n, 1 AS m FROM t"})
    project.execute("CREATE VIEW theirs AS SELECT m FROM x")
    with pytest.raises(ConfigError, match="view theirs depends on"):
        project.run(x={"sql": "SELECT n FROM t"})
    assert project.rows("SELECT n, m FROM x") == [(1, 1)]


def test_a_table_is_replaced_with_other_columns(project):
    project.load("t", "SELECT 1 AS n")
    project.run(x={"sql": "SELECT n, 'a' AS gone FROM t"})
    project.run(x={"sql": "SELECT n::text AS n, now()::date AS day FROM t"})
    assert project.types("x") == {"n": "text", "day": "date"}


def test_incremental_replaces_the_rows_of_the_keys_it_gives_and_keeps_the_others(project):
    def spec(values: str) -> dict[str, dict[str, str]]:
        sql = f"SELECT * FROM (VALUES {values}) v(id, n)"
        return {"x": {"sql": sql, "kind": "incremental", "key": "id"}}

    project.run(**spec("(1, 1), (2, 2)"))
    project.run(**spec("(2, 20), (3, 30)"))
    assert project.rows("SELECT * FROM x") == [(1, 1), (2, 20), (3, 30)]
    project.run(refresh=True, **spec("(4, 4)"))
    assert project.rows("SELECT * FROM x") == [(4, 4)]


def test_incremental_takes_new_columns_and_wider_numbers_and_refuses_other_types(project):
    def run(sql: str) -> None:
        project.run(x={"sql": sql, "kind": "incremental", "key": "id"})

    run("SELECT 1 AS id, 5::smallint AS n, 1.5::numeric(4,2) AS d, 'a'::varchar(3) AS v")
    run("SELECT 2 AS id, 70000 AS n, 12345::bigint AS d, 'longer' AS v, TRUE AS more")
    assert project.types("x") == {
        "id": "integer",
        "n": "integer",
        "d": "numeric(21,2)",
        "v": "text",
        "more": "boolean",
    }
    run("SELECT 3::smallint AS id, 1::smallint AS n")
    assert project.rows("SELECT id, n, more FROM x") == [
        (1, 5, None),
        (2, 70000, True),
        (3, 1, None),
    ]
    with pytest.raises(SchemaError, match="column n is integer and would be date"):
        run("SELECT 4 AS id, current_date AS n")


@pytest.mark.parametrize("rows", ["(NULL)", "(1), (1)"])
def test_incremental_refuses_a_key_that_identifies_no_row(project, rows):
    sql = f"SELECT * FROM (VALUES {rows}, (9)) v(id)"
    with pytest.raises(DataError, match="checks failed"):
        project.run(x={"sql": sql, "kind": "incremental", "key": "id"})
    assert project.types("x") == {}


def test_another_key_or_none_takes_the_place_of_the_old_one(project):
    sql = "SELECT * FROM (VALUES (1, 1), (1, 2)) v(a, b)"
    project.run(x={"sql": sql, "kind": "incremental", "key": "b"})
    project.run(x={"sql": sql, "kind": "incremental", "key": ["a", "b"]})
    project.run(x={"sql": f"{sql} UNION ALL {sql}"})
    assert len(project.rows("SELECT * FROM x")) == 4


def test_a_view_reads_what_is_there_when_it_is_read(project):
    project.load("t", "SELECT 1 AS n")
    parameters = {"low": -5, "text": "it's", "day": "2020-01-01"}
    sql = "SELECT n, 10 -$low AS m, $text AS s FROM t WHERE now() > $day::date -- $low"
    project.run(x={"sql": sql, "kind": "view", "parameters": parameters})
    project.execute("INSERT INTO t VALUES (2)")
    assert project.rows("SELECT * FROM x") == [(1, 15, "it's"), (2, 15, "it's")]


def test_a_view_is_replaced_with_its_grants_whatever_its_columns(project):
    project.load("t", "SELECT 1 AS n")
    project.run(x={"sql": "SELECT n, 1 AS m FROM t", "kind": "view"})
    project.execute("GRANT SELECT ON x TO PUBLIC")
    project.run(x={"sql": "SELECT n::text AS other FROM t", "kind": "view"})
    assert project.rows("SELECT *, has_table_privilege('pg_monitor', 'x', 'SELECT') FROM x") == [
        ("1", True)
    ]
    project.execute("CREATE VIEW theirs AS SELECT other FROM x")
    with pytest.raises(ConfigError, match="view theirs depends on view x"):
        project.run(x={"sql": "SELECT 1 AS n FROM t", "kind": "view"})
    assert project.rows("SELECT * FROM theirs") == [("1",)]


def test_a_table_becomes_a_view_and_back(project):
    project.load("t", "SELECT 1 AS n")
    for kind in ("table", "view", "table"):
        project.run(x={"sql": "SELECT n FROM t", "kind": kind})
        assert project.rows("SELECT n FROM x") == [(1,)]


def test_tables_of_other_schemas_are_read_and_made(project):
    project.load("Flights", "SELECT 1 AS n", schema="Raw data")
    project.run(
        delays={"sql": 'SELECT * FROM "Raw data"."Flights"', "schema": "marts", "into": "Late"}
    )
    assert project.rows('SELECT n FROM marts."Late"') == [(1,)]


def test_a_table_that_is_a_datasets_or_anothers_is_not_touched(project):
    project.load("t", "SELECT 1 AS n")
    project.execute("CREATE TABLE theirs AS SELECT 1 AS n")
    for name, problem in (("t", "belongs to dataset t"), ("theirs", "not made by a pipeline")):
        prepared = project.prepare(x={"sql": "SELECT 2 AS n", "into": name})[0]
        with pytest.raises(ConfigError, match=problem):
            build(prepared, project.tables, "run1")
        assert project.rows(f"SELECT n FROM {name}") == [(1,)]


def test_of_two_runs_at_once_the_second_is_told(project, monkeypatch):
    project.load("t", "SELECT 1 AS n")
    prepared = project.prepare(x={"sql": "SELECT n FROM t"})[0]
    publish = PostgresTransforms.publish

    def second(tables, publication):
        monkeypatch.setattr(PostgresTransforms, "publish", publish)
        build(prepared, project.tables, "run2")
        return publish(tables, publication)

    monkeypatch.setattr(PostgresTransforms, "publish", second)
    with pytest.raises(VersionConflict, match="x: another run built its table meanwhile"):
        build(prepared, project.tables, "run1")
    assert project.rows("SELECT version, run_id FROM _prefect_etl.transformations") == [(1, "run2")]


def test_a_table_that_somebody_holds_is_waited_for_and_then_named(project):
    project.load("t", "SELECT 1 AS n")
    project.run(x={"sql": "SELECT n FROM t"})
    with psycopg.connect(project.uri) as other:
        other.execute("LOCK TABLE x IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(BusyError):
            project.run(x={"sql": "SELECT n + 1 AS n FROM t"})
    assert project.rows("SELECT n FROM x") == [(1,)]


def test_a_failed_check_publishes_nothing_and_shows_rows(project):
    project.load("flights", VALUES)
    checks = {"unique": ["carrier"], "not_null": ["n"], "expression": ["n < 20"]}
    with pytest.raises(DataError) as caught:
        project.run(x={"sql": "SELECT * FROM flights", "checks": checks})
    said = "2 of 3 checks failed: expression: n < 20: 1 of 3 rows; for example carrier=AA, n=20"
    assert said in caught.value.message
    assert "unique: carrier: 2 of 3 rows; for example carrier=AA, rows=2" in caught.value.message
    assert project.types("x") == {}


@pytest.mark.parametrize(
    ("sql", "kind", "problem"),
    [
        ("SELECT n,\n carier\nFROM t", ConfigError, 'column "carier" does not exist\nLINE 2: car'),
        ("SELECT 1 / (n - 1) FROM t", DataError, "division by zero"),
        ("SELECT 1 AS a, 2 AS a FROM t", ConfigError, 'column "a" specified more than once'),
        ('SELECT 1 AS a, 2 AS "A" FROM t', DataError, "differ only in case"),
        ("SELECT FROM t", ConfigError, "no columns"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(project, sql, kind, problem):
    project.load("t", "SELECT 1 AS n")
    with pytest.raises(kind) as caught:
        project.run(x={"sql": sql})
    assert problem in caught.value.message
    assert caught.value.hint


def test_all_tables_are_read_of_one_moment_with_their_versions(project):
    """While a statement runs, a load of what it reads commits."""
    project.load("t", "SELECT 1 AS n")
    project.execute(
        "CREATE FUNCTION waits() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1 FROM "
        "(SELECT pg_sleep(0.5)) s'"
    )
    spec = {"x": {"sql": "SELECT (SELECT waits()) AS w, (SELECT sum(n) FROM t) AS n"}}
    loading = threading.Timer(0.25, lambda: project.load("t", "SELECT 2 AS n"))
    loading.start()
    try:
        project.run(**spec)
    finally:
        loading.join()
    assert project.rows("SELECT n FROM x") == [(1,)]
    assert project.run(**spec) == {"x": ("t changed: version 1 -> 2",)}


class CutTransforms(PostgresTransforms):
    """Loses the message or the answer with which a publication ends."""

    def __init__(self, project: Any, proxy: Proxy, fault: type[LoseMessage]) -> None:
        uri = re.sub(r":\d+/", f":{proxy.port}/", project.uri)
        super().__init__(PostgresConnection.from_uri(uri, project.root), project.session)
        self.proxy, self.fault = proxy, fault

    def publish(self, publication: Publication) -> Published:
        self.proxy.arm(self.fault(COMMIT))
        return super().publish(publication)


@pytest.mark.parametrize(("fault", "versions"), [(LoseAnswer, [1]), (LoseMessage, [])])
def test_a_commit_without_reply_is_looked_up_in_the_ledger(project, postgres, fault, versions):
    project.run(x={"sql": "SELECT 1 AS n"})
    with Proxy(postgres.port) as proxy:
        tables = CutTransforms(project, proxy, fault)
        with nullcontext() if versions else pytest.raises(UnreachableError, match="hung up"):
            build(project.prepare(y={"sql": "SELECT 1 AS n"})[0], tables, "run1")
        assert proxy.happened
    found = "SELECT version FROM _prefect_etl.transformations WHERE name = 'y'"
    assert [row[0] for row in project.rows(found)] == versions
    assert bool(project.types("y")) == bool(versions)


def test_an_interrupt_stops_the_statement_in_the_server(project):
    project.load("t", "SELECT 1 AS n")
    project.execute(
        "CREATE FUNCTION waits() RETURNS void STABLE LANGUAGE sql AS 'SELECT pg_sleep(60)'"
    )
    interrupt = threading.Timer(0.5, project.session.interrupt)
    interrupt.start()
    started = time.monotonic()
    with pytest.raises(BusyError, match="canceling statement"):
        project.run(x={"sql": "SELECT waits()::text AS w FROM t"})
    interrupt.join()
    assert time.monotonic() - started < 20
    assert project.types("x") == {}


def test_tables_that_differ_only_in_case_are_refused_where_they_could_be_mixed_up(project):
    project.execute('CREATE TABLE "Theirs" AS SELECT 1 AS n')
    with pytest.raises(ConfigError, match="not made by a pipeline"):
        project.run(theirs={"sql": "SELECT 2 AS n"})
    assert project.types("theirs") == {}


def test_a_session_that_the_server_ends_leaves_the_table_as_it_was(project):
    project.load("t", "SELECT 1 AS n")
    project.run(x={"sql": "SELECT n FROM t"})
    project.execute(
        "CREATE FUNCTION waits() RETURNS void STABLE LANGUAGE sql AS 'SELECT pg_sleep(60)'"
    )
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'INSERT %waits%'"
    )
    end = threading.Timer(0.5, lambda: project.rows(ended))
    end.start()
    with pytest.raises(UnreachableError):
        project.run(x={"sql": "SELECT waits()::text AS w FROM t"})
    end.join()
    assert project.rows("SELECT n FROM x") == [(1,)]
