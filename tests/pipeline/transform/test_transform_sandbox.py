"""What a user's SQL may not do, and what it reads; DuckDB itself is the judge."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_etl.connectors.duckdb.select import check_condition, parse_select
from prefect_etl.core.sql import identifier
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, EtlError

_SESSION = Session(memory_limit="64MB", threads=1)


def reads(sql):
    return {str(table) for table in parse_select(_SESSION, sql, "w", "main").reads}


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT 1", set()),
        ("FROM a", {"main.a"}),
        ("TABLE a", {"main.a"}),
        ("VALUES (1), ((SELECT max(n) FROM a))", {"main.a"}),
        ('SELECT * FROM a AS x JOIN Raw."B b" AS y USING (id)', {"main.a", "Raw.B b"}),
        ("SELECT * FROM w.main.a", {"main.a"}),
        ("WITH q AS (FROM a) SELECT * FROM q, b", {"main.a", "main.b"}),
        ("WITH a AS (FROM a) FROM a", {"main.a"}),
        ("WITH b AS (FROM c), c AS (SELECT 1) FROM b", {"main.c"}),
        (
            "WITH Q AS (FROM a) FROM (WITH r AS (FROM q) FROM r) UNION ALL FROM b",
            {"main.a", "main.b"},
        ),
        ("FROM (WITH q AS (SELECT 1) FROM q), q", {"main.q"}),
        ("WITH q AS (SELECT 1) FROM main.q", {"main.q"}),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r, a) FROM r",
            {"main.a"},
        ),
        (
            "WITH RECURSIVE r(n) USING KEY (n) AS (SELECT 1 UNION FROM recurring.r) FROM r",
            set(),
        ),
        (
            "SELECT * FROM a WHERE x IN (SELECT x FROM b) AND EXISTS (FROM c)",
            {"main.a", "main.b", "main.c"},
        ),
        (
            "SELECT (SELECT max(x) FROM b) FROM a ORDER BY (SELECT 1 FROM c)",
            {"main.a", "main.b", "main.c"},
        ),
        ("FROM a, LATERAL (SELECT a.x + n FROM b)", {"main.a", "main.b"}),
        ("PIVOT a ON m IN (1, 2) USING sum(n)", {"main.a"}),
        ("FROM a SELECT unnest(l), [x + 1 FOR x IN l]", {"main.a"}),
        ("FROM range(3), generate_series(1, 2), unnest([1]) -- the end", set()),
    ],
)
def test_what_a_select_reads(sql, tables):
    assert reads(sql) == tables


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
        "DELETE FROM a",
        "DROP TABLE a",
        "COPY a TO 'out.csv'",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'other.duckdb'",
        "PRAGMA database_list",
        "SET memory_limit = '1TB'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CALL duckdb_settings()",
        "EXPORT DATABASE 'x'",
        "EXPLAIN ANALYZE SELECT 1",
        "PREPARE q AS SELECT 1",
        "USE memory",
        "BEGIN",
        "SHOW TABLES",
        "FROM (SHOW DATABASES)",
        "DESCRIBE a",
        "SUMMARIZE a",
        "PIVOT a ON m USING sum(n)",
        "SELECT 1 /*",
        "SELECT \0",
        "SELECT ?",
        "SELECT $1",
        "FROM read_csv('x.csv')",
        "FROM READ_CSV('x.csv')",
        "FROM \"read_csv_auto\"('x.csv')",
        "FROM main.range(3)",
        "SELECT (SELECT count(*) FROM read_parquet('*.parquet'))",
        "FROM a WHERE x IN (SELECT content FROM read_text('/etc/passwd'))",
        "WITH q AS (FROM glob('*')) FROM q",
        "SELECT * FROM a, LATERAL (FROM read_blob(a.name))",
        "FROM parquet_scan('x')",
        "FROM sniff_csv('x')",
        "FROM query('DROP TABLE a')",
        "FROM query_table('a')",
        "FROM duckdb_secrets()",
        "FROM json_execute_serialized_sql('{}')",
        "FROM sqlite_scan('x', 'y')",
        "FROM postgres_query('x', 'SELECT 1')",
        "FROM 'data.csv'",
        "FROM 'data/*.json.gz'",
        'SELECT * FROM "data.parquet"',
        "FROM 's3://bucket/key'",
        "FROM 'https://example.org/x.csv'",
        "FROM other.main.a",
        "SELECT current_setting('temp_directory')",
        "SELECT getenv('HOME')",
    ],
)
def test_what_is_not_one_select_over_tables_is_refused(sql):
    with pytest.raises(ConfigError):
        parse_select(_SESSION, sql, "w", "main")


@pytest.mark.parametrize(
    "name",
    ["data.csv", "DATA.CSV", "sub/data.csv", "data", "data.unknown"],
)
@pytest.mark.parametrize("sql", ["FROM {}", "WITH x AS (FROM {0}), {0} AS (SELECT 1) FROM x"])
def test_a_file_is_never_read_whatever_it_is_called(project, monkeypatch, name, sql):
    project.load("t", "SELECT 1 AS n")
    project.write(name, "a,b\n1,2\n")
    monkeypatch.chdir(project.root)
    with pytest.raises(ConfigError):
        project.run(x={"sql": sql.format(identifier(name))})


def test_a_recursive_name_outside_of_its_query_is_no_way_to_a_file(project, monkeypatch):
    project.load("t", "SELECT 1 AS n")
    project.write("recurring.d.csv", "a,b\n1,2\n")
    monkeypatch.chdir(project.root)
    with pytest.raises(ConfigError):
        project.run(x={"sql": 'WITH "d.csv" AS (SELECT 1) FROM recurring."d.csv"'})


def test_a_variable_of_the_program_is_never_read(project):
    import pyarrow as pa

    secrets = pa.table({"a": [1]})
    with pytest.raises(EtlError):
        project.run(x={"sql": "FROM secrets"})
    assert secrets.num_rows == 1


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "a > 0) FROM t --",
        "a > 0), (b > 0",
        "1) FROM _etl_row UNION SELECT (2",
        "a IN (SELECT 1)",
        "EXISTS (FROM read_csv('x.csv'))",
        "a = $x",
        "a > 0; DROP TABLE t",
        "1) FROM _etl_row WHERE (1=1) ORDER BY (1",
    ],
)
def test_what_is_no_condition_on_a_row_is_refused(condition):
    with pytest.raises(ConfigError):
        check_condition(_SESSION, condition)


_NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
_FILES = st.sampled_from(["x.csv", "y.parquet", "a/b", "c:d", "e*"])


@given(st.lists(_NAMES, min_size=1, max_size=4))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_names_are_found_however_they_are_written(names):
    sql = " UNION ALL ".join(f"SELECT 1 FROM s.{identifier(name)}" for name in names)
    assert {t.casefold() for t in reads(sql)} == {f"s.{name}".casefold() for name in names}


@given(st.text(max_size=30), st.text(max_size=30), _FILES)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_around_a_file_hides_it(before, after, file):
    try:
        found = parse_select(_SESSION, f"{before} SELECT * FROM '{file}' {after}", "w", "main")
    except ConfigError:
        return
    # It is in a comment or in a string then; DuckDB would not read it either.
    assert all(file not in table.name for table in found.reads)
