"""SQL of users reads tables, and nothing else: no file, no setting, no extension, no network."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pytest

from prefect_etl.connectors.duckdb.select import check_condition, parse_select
from prefect_etl.connectors.duckdb.source import DuckDBDataset, DuckDBSource
from prefect_etl.connectors.duckdb.user_sql import run_user_sql
from prefect_etl.connectors.files import FilesConnection, FilesDataset, FilesSource
from prefect_etl.connectors.registry import connector_for
from prefect_etl.core.ledger import LedgerState
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, EtlError, SourceReadError
from prefect_etl.pipeline.reading import read
from prefect_etl.testing.exercise import small_session

# What stands behind FROM and leads out of the tables; {csv} is a file that is there.
OUTSIDE = [
    "'{csv}'",
    '"{csv}"',
    "'{csv}' AS x(a)",
    "'{folder}/*.csv'",
    "'x.csv'",
    '"x.csv"',
    "x.csv",
    '"x"."csv"',
    "'x.parquet'",
    "'x.json'",
    "'x.arrow'",
    "'x.duckdb'",
    "'http://127.0.0.1:9/x.csv'",
    "'https://127.0.0.1:9/x.parquet'",
    "'s3://bucket/x.parquet'",
    "'gs://bucket/x'",
    "'hf://datasets/x'",
    "'/dev/stdin'",
    "'/proc/self/environ'",
    "$$x.csv$$",
    "$q$x.csv$q$",
    "e'x.csv'",
    "read_csv('{csv}')",
    "READ_CSV ( '{csv}' )",
    "\"read_csv\"('{csv}')",
    "read_csv/* x */('{csv}')",
    "read_csv -- x\n('{csv}')",
    "main.read_csv('{csv}')",
    "system.main.read_csv('{csv}')",
    "read_csv_auto('{csv}')",
    "read_text('{csv}')",
    "read_blob('/etc/passwd')",
    "read_json('{csv}')",
    "read_json_objects('{csv}')",
    "read_ndjson_auto('{csv}')",
    "read_parquet('{csv}')",
    "parquet_scan(['{csv}'])",
    "parquet_metadata('{csv}')",
    "parquet_schema('{csv}')",
    "parquet_kv_metadata('{csv}')",
    "parquet_file_metadata('{csv}')",
    "parquet_bloom_probe('{csv}', 'a', 1)",
    "read_duckdb('{csv}')",
    "sniff_csv('{csv}')",
    "glob('/etc/*')",
    "sqlite_scan('{csv}', 't')",
    "sqlite_attach('{csv}')",
    "postgres_scan('host=127.0.0.1', 'public', 't')",
    "postgres_query('db', 'SELECT 1')",
    "mysql_query('db', 'SELECT 1')",
    "iceberg_scan('{csv}')",
    "delta_scan('{csv}')",
    "st_read('{csv}')",
    "read_xlsx('{csv}')",
    "arrow_scan(1, 2, 3)",
    "pandas_scan(1)",
    "query('SELECT * FROM ''{csv}''')",
    "query_table('{csv}')",
    "query_table(['t', '{csv}'])",
    "duckdb_secrets()",
    "duckdb_settings()",
    "duckdb_extensions()",
    "duckdb_logs()",
    "duckdb_temporary_files()",
    "which_secret('s3://x', 's3')",
    "pragma_database_size()",
    "pragma_user_agent()",
    "json_execute_serialized_sql('{{}}')",
    "from_substrait('x')",
    "sql_auto_complete('SEL')",
    "(DESCRIBE '{csv}')",
    "(SUMMARIZE '{csv}')",
    "(PIVOT '{csv}' ON a IN (1) USING count(*))",
    "(UNPIVOT '{csv}' ON a)",
    "(TABLE '{csv}')",
    "(VALUES ((SELECT max(a) FROM '{csv}')))",
    "(SELECT list_transform([1], lambda x: x + (SELECT max(a) FROM '{csv}')))",
    "(WITH q AS (FROM '{csv}') FROM q)",
    "(WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a FROM '{csv}') FROM r)",
]
# Where a user may put it in a SELECT.
PLACES = [
    "SELECT * FROM {}",
    "SELECT t.* FROM t, {}",
    "SELECT id FROM t WHERE EXISTS (FROM {})",
    "WITH q AS MATERIALIZED (SELECT * FROM {}) SELECT id FROM t, q",
    "SELECT id FROM t UNION ALL SELECT (SELECT count(*) FROM {})",
]
# Statements that are no SELECT.
STATEMENTS = [
    "COPY t TO '{folder}/out.csv'",
    "COPY t FROM '{csv}'",
    "COPY (SELECT 1) TO '/dev/null'",
    "ATTACH '{folder}/other.duckdb'",
    "ATTACH ':memory:' AS m",
    "DETACH w",
    "USE memory",
    "INSTALL httpfs",
    "FORCE INSTALL httpfs FROM community",
    "LOAD httpfs",
    "UPDATE EXTENSIONS",
    "SET enable_external_access = true",
    "SET GLOBAL s3_endpoint = 'x'",
    "RESET memory_limit",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "EXPORT DATABASE '{folder}/out'",
    "IMPORT DATABASE '{folder}/out'",
    "CALL duckdb_settings()",
    "CREATE SECRET s (TYPE s3)",
    "CREATE OR REPLACE TEMPORARY SECRET s (TYPE http, BEARER_TOKEN 'x')",
    "CREATE /* x */ TEMPORARY /* y */ SECRET s (TYPE http)",
    "CREATE PERSISTENT SECRET s (TYPE s3)",
    "DROP SECRET s",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "SET VARIABLE x = 1",
    "CHECKPOINT",
    "COMMIT",
    "BEGIN",
    "EXPLAIN ANALYZE SELECT 1",
]
# How before and after may reach out.
WRITES = [
    "INSERT INTO t SELECT max(a), '' FROM {}",
    "INSERT INTO t SELECT t.* FROM t, {}",
    "UPDATE t SET name = (SELECT max(a)::VARCHAR FROM {})",
    "CREATE TABLE stolen AS SELECT * FROM {}",
    "CREATE OR REPLACE VIEW stolen AS SELECT * FROM {}",
]
FUNCTIONS = [
    "getenv('HOME') = 'x'",
    "current_setting('temp_directory') = 'x'",
    "\"current_setting\" ('home_directory') = 'x'",
    "getvariable('x') IS NULL",
    "write_log('x') IS NULL",
]
HONEST = [
    "SELECT 1 AS id",
    "FROM t",
    "TABLE t",
    "SELECT id, upper(name) FROM t WHERE id > 1 ORDER BY id LIMIT 3 -- 'x.csv'",
    "SELECT id /* FROM 'x.csv' */ FROM t",
    "SELECT 'FROM ''x.csv''' AS text FROM t",
    "SELECT id, 'read_csv(1)' AS read_csv FROM t",
    'SELECT name AS "x.csv" FROM t',
    "SELECT a.id FROM t AS a JOIN t AS b ON a.id = b.id",
    "SELECT a.id FROM t AS a LEFT JOIN u USING (id)",
    "SELECT * FROM t SEMI JOIN u USING (id)",
    "SELECT * FROM t ASOF JOIN u ON t.id >= u.id",
    "SELECT * FROM t POSITIONAL JOIN u",
    "SELECT t.id FROM t, u",
    "SELECT count(*), max(id) FROM t GROUP BY ALL HAVING count(*) > 0",
    "SELECT id FROM t UNION SELECT id FROM u EXCEPT SELECT 3",
    "SELECT * FROM range(3) r(n), generate_series(1, 2) s(m)",
    "SELECT unnest([1, 2, 3]) AS n",
    "SELECT * FROM unnest([1, 2]) AS x(n)",
    "VALUES (1, 'a'), (2, 'b')",
    "WITH q AS (SELECT id FROM t) SELECT * FROM q",
    "WITH a AS (FROM t), b AS (FROM a) SELECT * FROM b, u",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) FROM r",
    "SELECT id, row_number() OVER (PARTITION BY name ORDER BY id) AS n FROM t",
    "SELECT id FROM t QUALIFY row_number() OVER (ORDER BY id) = 1",
    "SELECT list_transform([1, 2], lambda x: x + 1) AS l",
    "SELECT [x * 2 FOR x IN [1, 2] IF x > 1] AS l",
    "PIVOT t ON name IN ('a', 'b') USING count(*)",
    "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b",
    "SELECT * EXCLUDE (name) REPLACE (id + 1 AS id) FROM t",
    "SELECT COLUMNS('i.*') FROM t",
    "SELECT struct_pack(a := 1).a AS a, {'b': 2}.b AS b, MAP {'k': 1}['k'] AS m",
    "SELECT json_extract('{\"a\": 1}', '$.a') AS j",
    "SELECT regexp_replace(name, '(.)/(.)', '\\2') FROM t",
    "SELECT DATE '2024-01-01' + INTERVAL 1 DAY AS d, TIMESTAMP '2024-01-01 10:00:00' AS t",
    "SELECT histogram(id) FROM t",
    "SELECT (SELECT max(id) FROM u WHERE u.id <= t.id) AS m FROM t",
    "SELECT * FROM t, LATERAL (SELECT t.id + 1 AS next)",
    "SELECT * FROM w.main.t",
    "SELECT * FROM t TABLESAMPLE 50%",
    "SELECT id FROM t WHERE name IN ('a/b.csv', 's3://x', '*')",
]
HONEST_WRITES = [
    "DELETE FROM t WHERE name = 'x.csv'",
    "INSERT INTO t VALUES (9, '/etc/passwd')",
    "INSERT INTO t SELECT t.id + 10, name FROM t, u",
    "UPDATE t SET name = 'http://a.b/c' WHERE id = 1",
    "CREATE TABLE extra AS SELECT * FROM v; DROP TABLE extra",
    "CREATE TEMP TABLE few AS FROM t; INSERT INTO t FROM few; DROP TABLE few",
    "CREATE INDEX by_name ON t (name)",
    "CREATE OR REPLACE VIEW named AS SELECT twice(id) AS n, name FROM t",
    "CREATE MACRO thrice(x) AS 3 * x; UPDATE t SET id = thrice(id)",
    "ALTER TABLE u ADD COLUMN note VARCHAR DEFAULT 'read_csv(''x'')'",
    "CREATE SEQUENCE more START 5",
    "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE",
    "INSERT INTO moods VALUES ('sad')",
    "UPDATE t SET id = twice(id, y := 3)",
    "SELECT n FROM v",
    "VACUUM",
]
_MADE = """
CREATE TABLE t (id INTEGER, name VARCHAR); CREATE TABLE u (id INTEGER);
CREATE VIEW v AS SELECT id AS n FROM t; CREATE MACRO twice(x, y := 2) AS y * x;
CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE moods (m mood);
CREATE SEQUENCE numbers; INSERT INTO t VALUES (1, 'canary'); INSERT INTO u VALUES (1);
"""


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with small_session() as session:
        yield session


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A folder with files to steal, and a warehouse."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "x.csv").write_text("a\n42\n")
    with duckdb.connect(str(folder / "w.duckdb")) as connection:
        connection.execute(_MADE)
    return {"csv": str(folder / "x.csv"), "folder": str(folder)}


@pytest.fixture
def cursor(
    session: Session, around: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[duckdb.DuckDBPyConnection]:
    """In a transaction on the warehouse, which is rolled back, in the folder of the files."""
    monkeypatch.chdir(around["folder"])
    with session.attached(Path(around["folder"], "w.duckdb"), read_only=False) as cursor:
        cursor.begin()
        yield cursor


def tables(cursor: duckdb.DuckDBPyConnection) -> set[str]:
    found = cursor.execute("SELECT table_name FROM information_schema.tables").fetchall()
    return {f"main.{name}" for (name,) in found}


@pytest.mark.parametrize("outside", OUTSIDE)
def test_no_select_reads_anything_but_tables(outside, session, around, cursor):
    known = tables(cursor)
    for place in PLACES:
        sql = place.format(outside.format(**around))
        try:
            select = parse_select(session, sql, "w", "main")
        except ConfigError:
            continue
        # Such a name is no table, which is told before anything runs.
        assert {str(table) for table in select.reads} - known, sql


@pytest.mark.parametrize("outside", OUTSIDE)
def test_no_statement_before_or_after_a_load_reads_anything_but_tables(outside, around, cursor):
    for write in random.Random(outside).sample(WRITES, 2):
        with pytest.raises(ConfigError) as caught:
            run_user_sql(cursor, [write.format(outside.format(**around))], "d: before")
        assert caught.value.message.startswith("d: before")
        assert caught.value.hint
    assert cursor.execute("FROM t").fetchall() == [(1, "canary")]
    assert "main.stolen" not in tables(cursor)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_statements_that_are_not_about_tables_are_refused(statement, session, around, cursor):
    sql = statement.format(**around)
    with pytest.raises(ConfigError, match=r"SELECT|cannot be read"):
        parse_select(session, sql, "w", "main")
    for hidden in (sql, f"SELECT 1; /* SELECT */ {sql}"):
        with pytest.raises(ConfigError, match="d: after"):
            run_user_sql(cursor, [hidden], "d: after")
    assert not any(path.name.startswith("out") for path in Path(around["folder"]).iterdir())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_that_tell_of_the_process_are_refused(function, session, cursor):
    with pytest.raises(ConfigError, match="uses"):
        check_condition(session, function)
    with pytest.raises(ConfigError, match="uses"):
        parse_select(session, f"SELECT * FROM t WHERE {function}", "w", "main")
    with pytest.raises(ConfigError, match="uses"):
        run_user_sql(cursor, [f"DELETE FROM t WHERE {function}"], "d: before")


@pytest.mark.parametrize("outside", OUTSIDE)
def test_no_condition_reads_anything_but_its_row(outside, session, around):
    for condition in ("id IN (SELECT a FROM {})", "TRUE) FROM {} WHERE (TRUE"):
        with pytest.raises(ConfigError):
            check_condition(session, condition.format(outside.format(**around)))


@pytest.mark.parametrize("sql", HONEST)
def test_honest_queries_pass(sql, session, cursor):
    select = parse_select(session, sql, "w", "main")
    assert {str(table) for table in select.reads} <= tables(cursor)
    cursor.execute(sql).fetchall()


@pytest.mark.parametrize("sql", HONEST_WRITES)
def test_honest_statements_pass(sql, cursor):
    run_user_sql(cursor, [sql], "d: before")


def test_statements_build_on_each_other(cursor):
    run_user_sql(cursor, ["CREATE TABLE z (n INTEGER)", "INSERT INTO z SELECT id FROM t"], "d")
    assert cursor.execute("FROM z").fetchall() == [(1,)]


@pytest.mark.parametrize("field", ["where", "deleted_when"])
def test_conditions_of_a_dataset_are_judged_before_a_row_is_read(field, tmp_path, around):
    (tmp_path / "d.csv").write_text("a\n1\n")
    more = {"key": "a", "write": "merge"} if field == "deleted_when" else {}
    with pytest.raises(ConfigError, match=f"{field}: .*(condition|uses|reads)"):
        read(tmp_path / "d.csv", **more, **{field: f"a IN (SELECT a FROM '{around['csv']}')"})


def test_a_condition_may_end_with_a_comment(tmp_path):
    (tmp_path / "d.csv").write_text("a\n1\n2\n")
    assert read(tmp_path / "d.csv", where="a > 1 -- not the first").table.num_rows == 1


# A DuckDB file that somebody else made, with traps in it.
TRAPS = {
    "a view of a file": ("CREATE VIEW s AS SELECT * FROM '{csv}'", {"table": "s"}),
    "a view of a view of a file": (
        "CREATE VIEW r AS SELECT * FROM read_text('{csv}'); CREATE VIEW s AS FROM r",
        {"table": "s"},
    ),
    "a query of such a view": (
        "CREATE VIEW s AS SELECT * FROM '{csv}'",
        {"query": "SELECT s.* FROM t, s"},
    ),
    "a view that sniffs": ("CREATE VIEW s AS FROM sniff_csv('{csv}')", {"table": "s"}),
    "a macro of a file": (
        "CREATE MACRO steal(x) AS (SELECT max(a) + x FROM '{csv}')",
        {"query": "SELECT steal(id) AS id FROM t"},
    ),
    "a macro in the place of a function": (
        "CREATE MACRO upper(x) AS (SELECT any_value(content) FROM read_text('{csv}'))",
        {"query": "SELECT upper(name) AS name FROM t"},
    ),
    "a macro that waits for our own SQL": (
        "CREATE MACRO max(x) AS (SELECT any_value(content) FROM read_text('{csv}'))",
        {"table": "t", "cursor": "id"},
    ),
    "a table macro": (
        "CREATE MACRO s() AS TABLE SELECT * FROM '{csv}'",
        {"query": "SELECT * FROM s()"},
    ),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_partners_duckdb_file_leads_to_no_other_file(trap, session, around, tmp_path):
    made, fields = TRAPS[trap]
    path = tmp_path / "partner.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id, 'a' AS name")
        connection.execute(made.format(**around))
    connection = connector_for("duckdb:").connection.from_uri(f"duckdb:///{path}", tmp_path)
    source = DuckDBSource(connection, DuckDBDataset(name="d", **fields), session)
    with pytest.raises((ConfigError, SourceReadError)) as caught:
        source.batches(source.units(LedgerState()), LedgerState())
    assert "42" not in str(caught.value)


def test_a_partners_honest_views_and_macros_are_read(session, tmp_path):
    path = tmp_path / "partner.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(_MADE)
        connection.execute("CREATE VIEW first AS SELECT twice(n) AS n FROM v")
    connection = connector_for("duckdb:").connection.from_uri(f"duckdb:///{path}", tmp_path)
    source = DuckDBSource(connection, DuckDBDataset(name="d", table="first"), session)
    assert source.batches(source.units(LedgerState()), LedgerState())


def test_nothing_of_a_file_is_taken_for_sql(session, tmp_path):
    name = "'; COPY (SELECT 1) TO 'out.csv'; --"
    (tmp_path / "a.csv").write_text(f'"{name}",b\n"FROM \'/etc/passwd\'",1\n')
    connection = FilesConnection.from_uri(f"file://{tmp_path}", tmp_path)
    source = FilesSource(connection, FilesDataset(name="d", path="*.csv"), session)
    try:
        batches = source.batches(source.units(LedgerState()), LedgerState())
        with source.read(batches[0]) as rows:
            assert session.query(rows.sql, rows.parameters) == [("FROM '/etc/passwd'", 1)]
    except EtlError as error:
        pytest.fail(str(error))
