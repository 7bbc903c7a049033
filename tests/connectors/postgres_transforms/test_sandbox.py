"""What a user's SQL may not do; the server itself is the judge, whatever the parser missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from prefect_etl.connectors.postgres.transforms.select import check_condition, parse_select
from prefect_etl.connectors.postgres.transforms.understanding import understand
from prefect_etl.core.rows import Relation
from prefect_etl.core.warehouse import TableRef
from prefect_etl.errors import ConfigError, DataError, EtlError


@pytest.fixture(scope="module")
def prey(postgres) -> Iterator[psycopg.Connection[Any]]:
    name = postgres.new_database()
    with psycopg.connect(postgres.uri(name), autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT 1 AS n; CREATE TABLE secret AS SELECT 'x' AS x; "
            "CREATE TABLE a AS SELECT 1 AS id, 1 AS n, 1 AS x; CREATE TABLE b AS TABLE a; "
            "CREATE TABLE c AS TABLE a; CREATE TABLE q AS TABLE a; "
            'CREATE SCHEMA raw; CREATE TABLE raw."B b" AS TABLE a; '
            "CREATE SEQUENCE counter; CREATE FUNCTION writes(int) RETURNS int LANGUAGE sql "
            "AS 'DELETE FROM secret RETURNING 1'; CREATE FUNCTION writes(int, int) RETURNS "
            "boolean LANGUAGE sql AS 'DELETE FROM secret RETURNING TRUE'; "
            "CREATE OPERATOR !!! (FUNCTION = writes, LEFTARG = int, RIGHTARG = int)"
        )
        yield connection
    postgres.drop_database(name)


READS = pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT 1", set()),
        ("TABLE a", {"public.a"}),
        ("VALUES (1), ((SELECT max(n) FROM a))", {"public.a"}),
        ('SELECT id FROM A x JOIN Raw."B b" AS y USING (id)', {"public.a", "raw.B b"}),
        ("WITH q AS (SELECT * FROM a) SELECT q.* FROM q, b", {"public.a", "public.b"}),
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", {"public.a"}),
        ("WITH b AS (SELECT * FROM c), c AS (SELECT 1) SELECT * FROM b", {"public.c"}),
        ("WITH q AS (SELECT 1) SELECT * FROM public.q", {"public.q"}),
        (
            "WITH RECURSIVE r AS (SELECT 1 i UNION ALL SELECT i + 1 FROM r, a) SELECT * FROM r",
            {"public.a"},
        ),
        (
            "SELECT (SELECT max(x) FROM b) FROM ONLY a ORDER BY (SELECT 1 FROM c)",
            {"public.a", "public.b", "public.c"},
        ),
        ("SELECT * FROM a, LATERAL (SELECT a.x + n FROM b) l", {"public.a", "public.b"}),
        ("SELECT * FROM generate_series(1, 2) g, unnest(ARRAY[1]) -- the end", set()),
        ("SELECT TRUE" + " AND TRUE" * 3000, set()),
    ],
)


@READS
def test_what_a_select_reads(sql, tables):
    assert {str(table) for table in parse_select(sql, "public").reads} == tables


@READS
def test_the_parser_and_the_server_find_the_same_tables(prey, sql, tables):
    reads = parse_select(sql, "public").reads
    with prey.transaction(force_rollback=True):
        understand(prey, sql, reads)
    for left_out in reads:
        with pytest.raises(ConfigError, match="is not among its tables"), prey.transaction():
            understand(prey, sql, [read for read in reads if read != left_out])


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "-- nothing",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE a",
        "CREATE TABLE x AS SELECT 1",
        "INSERT INTO a VALUES (1)",
        "UPDATE a SET n = 1",
        "MERGE INTO a USING b ON TRUE WHEN MATCHED THEN DELETE",
        "COPY a TO '/tmp/x'",
        "EXPLAIN ANALYZE SELECT 1",
        "SET role postgres",
        "DO $$ BEGIN END $$",
        "SELECT 1 INTO x",
        "SELECT * FROM a FOR UPDATE",
        "WITH d AS (DELETE FROM a RETURNING *) SELECT * FROM d",
        "SELECT * FROM other.public.a",
        "SELECT 1 /*",
        "SELECT \0",
        "SELECT $1",
        "SELECT ?",
        "(" * 5000,
    ],
)
def test_what_is_not_one_select_is_refused(sql):
    with pytest.raises(ConfigError):
        parse_select(sql, "public")


@pytest.mark.parametrize(
    "condition",
    ["", "a; b", "a, b", "a > (SELECT 1)", "a) FROM b WHERE (c", "a) AS b, (c", "a > $b"],
)
def test_what_is_no_condition_on_a_row_is_refused(condition):
    with pytest.raises(ConfigError):
        check_condition(condition)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM pg_ls_dir('.')",
        'SELECT PG_CATALOG."pg_sleep"(9)',
        "SELECT set_config('search_path', 'evil', FALSE)",
        "SELECT current_setting('data_directory')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_get(1)",
        "SELECT query_to_xml('SELECT 1', TRUE, TRUE, '')",
        "SELECT table_to_xml('secret', TRUE, TRUE, '')",
        "SELECT nextval('counter')",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_notify('a', 'b')",
        "SELECT * FROM ts_stat('SELECT x FROM secret')",
        "SELECT 1 WHERE EXISTS (SELECT pg_reload_conf())",
        "SELECT n FROM t ORDER BY (SELECT pg_current_wal_lsn())",
        "SELECT n FROM t WHERE n OPERATOR(public.!!!) 1",
        "SELECT count(*) FILTER (WHERE writes(n) > 0) FROM t",
        "SELECT rolpassword FROM pg_catalog.pg_authid",
        "SELECT passwd FROM pg_shadow",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM secret",
        "SELECT last_value FROM counter",
        "SELECT * FROM t TABLESAMPLE SYSTEM ((SELECT count(*) FROM secret))",
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
        "SELECT 1; DROP TABLE t",
        "SELECT 1 WITH NO DATA; DROP TABLE t",
        "SELECT * FROM t FOR UPDATE; COMMIT",
    ],
)
def test_the_server_finds_what_reaches_beyond_the_tables(prey, sql):
    """Asked without the parser, as if that had understood nothing."""
    with pytest.raises(ConfigError), prey.transaction():
        understand(prey, sql, [TableRef("public", "t")])
    kept = prey.execute("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM secret)")
    assert kept.fetchall() == [(1, 1)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT upper('a'), 1 + 2, now(), random(), gen_random_uuid(), pg_typeof(n) FROM t",
        "SELECT n, row_number() OVER (ORDER BY n), string_agg('a', ',') OVER () FROM t",
        "SELECT a.n FROM t a JOIN t b TABLESAMPLE BERNOULLI (50) USING (n)",
        "SELECT j ->> 'a', j @> '{}', jsonb_array_length('[]') FROM (SELECT '{}'::jsonb AS j) q",
        "SELECT * FROM generate_series(1, 3) g, LATERAL (SELECT g AS h) l",
        'SELECT n AS ":relid 1259 :funcid 3778 {} (x)" FROM t',
    ],
)
def test_what_computes_is_let_through(project, sql):
    project.load("t", "SELECT 1 AS n")
    project.run(x={"sql": f"SELECT count(*) AS n FROM ({sql}) AS q"})


def test_sql_whose_functions_lie_still_writes_nothing(project):
    """A function that is said to be stable, and is not."""
    project.load("t", "SELECT 1 AS n")
    project.execute(
        "CREATE SEQUENCE counter;"
        "CREATE FUNCTION truncates() RETURNS int STABLE LANGUAGE plpgsql AS "
        "$$ BEGIN EXECUTE 'TRUNCATE t'; RETURN 1; END $$;"
        "CREATE FUNCTION hidden() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN DELETE FROM t; RETURN 1; END $$;"
        "CREATE FUNCTION calls() RETURNS int STABLE LANGUAGE sql AS 'SELECT hidden()'; "
        "CREATE FUNCTION frees() RETURNS text STABLE LANGUAGE sql AS "
        "$$ SELECT set_config('transaction_read_only', 'off', FALSE) $$;"
        "CREATE FUNCTION counts() RETURNS bigint STABLE LANGUAGE sql AS "
        "$$ SELECT setval('counter', 99) $$"
    )
    for function in ("truncates", "calls", "frees", "counts"):
        with pytest.raises(EtlError, match=r"read-(only|write)|non-volatile"):
            project.run(x={"sql": f"SELECT {function}() AS x FROM t"})
    assert project.rows("SELECT n, (SELECT last_value FROM counter) FROM t") == [(1, 1)]


def test_what_a_function_sets_does_not_last_until_the_result_is_published(project):
    project.load("t", "SELECT 1 AS n")
    project.execute(
        "CREATE SCHEMA evil; CREATE ROLE nobody_of_them; CREATE FUNCTION sets() RETURNS text "
        "STABLE LANGUAGE sql AS $$ SELECT set_config('search_path', 'evil', FALSE) || "
        "set_config('role', 'nobody_of_them', FALSE) || set_config('datestyle', 'SQL', FALSE) $$"
    )
    try:
        project.run(x={"sql": "SELECT sets() AS x, n FROM t"})
        assert project.rows("SELECT n FROM public.x") == [(1,)]
    finally:
        project.execute("DROP ROLE nobody_of_them")


def test_a_function_of_the_users_that_may_write_is_refused_with_what_to_do(project):
    project.load("t", "SELECT 1 AS n")
    project.execute("CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n'")
    with pytest.raises(ConfigError, match=r"ALTER FUNCTION public\.twice STABLE"):
        project.run(x={"sql": "SELECT twice(n) AS n FROM t"})
    project.execute("ALTER FUNCTION twice STABLE")
    project.run(x={"sql": "SELECT twice(n) AS n FROM t"})
    assert project.rows("SELECT n FROM x") == [(2,)]


def test_a_check_is_no_more_trusted_than_the_select(project):
    project.load("t", "SELECT 1 AS n")
    for expression in ("pg_sleep(9) IS NOT NULL", "n > length(pg_read_file('PG_VERSION'))"):
        with pytest.raises(ConfigError, match="may do more than compute"):
            project.run(x={"sql": "SELECT n FROM t", "checks": {"expression": [expression]}})


def test_a_temporary_table_hides_no_table_of_the_database(project):
    """Names of the session's own come last, so what is read is what the ledger knows."""
    project.load("t", "SELECT 1 AS n")
    with project.tables.stage(Relation("SELECT n FROM t"), [TableRef("public", "t")]) as staged:
        assert project.tables.query(f"SELECT * FROM {staged.relation}") == [(1,)]


def test_a_table_that_is_not_there_is_named_before_anything_runs(project):
    project.load("t", "SELECT 1 AS n")
    with (
        pytest.raises(DataError, match=r"table public\.u does not exist"),
        project.tables.stage(Relation("SELECT 1"), [TableRef("public", "u")]),
    ):
        pass
