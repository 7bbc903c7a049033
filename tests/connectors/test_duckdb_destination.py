"""DuckDB as a destination, beside what the conformance suite says of it."""

from __future__ import annotations

import logging

import duckdb
import pytest

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.schema import TableSchema
from prefect_etl.errors import ConfigError, DataError, SchemaError
from prefect_etl.testing.exercise import small_session
from prefect_etl.testing.exercises import DuckDB
from prefect_etl.testing.loads import Table, row

EXERCISE = DuckDB()


@pytest.fixture
def table(tmp_path):
    """Makes a dataset ``d`` in a file of its own."""
    with small_session() as session:
        yield lambda **fields: Table(EXERCISE, tmp_path, session, DatasetSpec(name="d", **fields))


@pytest.fixture
def query(tmp_path):
    """Asks the file as anybody would."""

    def ask(sql):
        with duckdb.connect(tmp_path / "exercise.duckdb") as connection:
            return connection.execute(sql).fetchall()

    return ask


@pytest.mark.parametrize(
    "sql",
    [
        "COMMIT",
        "SET threads = 1",
        "ATTACH 'other.duckdb'",
        "USE memory",
        "COPY d TO 'out.csv'",
        "INSTALL httpfs",
        "EXPORT DATABASE 'out'",
        "CREATE SECRET s (TYPE s3)",
        "INSERT INTO d SELECT * FROM read_csv('in.csv')",
        "INSERT INTO d SELECT * FROM read_csv /* no */ ('in.csv')",
        "INSERT INTO d SELECT * FROM \"read_csv\" ('in.csv')",
        "INSERT INTO d FROM 'in.csv'",
        'INSERT INTO d FROM "in.csv"',
        "DELETE FROM d WHERE name IN (SELECT content FROM read_text('in.csv'))",
        "UPDATE d SET name = getenv('HOME')",
        "DELETE FROM d; COPY d TO 'out.csv'",
    ],
)
def test_sql_of_the_user_changes_tables_and_nothing_else(table, sql, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("id,name,seen,gone\n7,x,1,false\n")
    made = table(before=sql)
    with pytest.raises(ConfigError):
        made.load({"a": [row(1)]})
    assert made.state.version == 0
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM d WHERE name = 'from x.csv'",
        "INSERT INTO d SELECT 9, 'a', range, FALSE, 1 FROM range(2)",
        "CREATE INDEX IF NOT EXISTS i ON d (id); COMMENT ON TABLE d IS 'of all'",
        "ANALYZE",
        "MERGE INTO d USING (SELECT 1 AS id) s ON d.id = s.id WHEN MATCHED THEN DELETE",
        "WITH gone AS (SELECT 1 AS id) DELETE FROM d USING gone WHERE d.id = gone.id",
    ],
)
def test_sql_of_the_user_may_change_tables_in_any_way(table, sql):
    table().load({"a": [row(1)]})
    assert table(after=sql).load({"b": [row(2)]}).version == 2


def test_what_is_wrong_in_sql_of_the_user_is_said(table):
    with pytest.raises(ConfigError, match=r"d: after: .*failed: .*nowhere"):
        table(after="DELETE FROM nowhere").load({"a": [row(1)]})


def test_a_replace_keeps_comments_and_indexes(table, query):
    made = table(write="replace")
    made.load({"a": [row(1)]})
    query("COMMENT ON TABLE d IS 'of it''s shop'")
    query("COMMENT ON COLUMN d.name IS 'of a customer'")
    query("CREATE INDEX by_name ON d (lower(name))")
    query("COMMENT ON INDEX by_name IS 'for searches'")
    made.load({"b": [row(2)]})
    assert query("SELECT comment FROM duckdb_tables() WHERE table_name = 'd'") == [
        ("of it's shop",)
    ]
    assert query("SELECT comment FROM duckdb_columns() WHERE comment IS NOT NULL") == [
        ("of a customer",)
    ]
    assert query("SELECT index_name, comment FROM duckdb_indexes()") == [
        ("by_name", "for searches")
    ]


def test_what_a_refresh_with_other_columns_cannot_keep_is_told(table, query, caplog):
    made = table(write="replace")
    made.load({"a": [row(1)]})
    query("CREATE INDEX by_name ON d (name)")
    with caplog.at_level(logging.WARNING):
        made.load({"b": [{"id": 1}]}, TableSchema.of(id="BIGINT"), refresh=True)
    assert "CREATE INDEX by_name" in caplog.text
    assert made.holds({"id": 1})


def test_a_column_with_an_index_is_not_widened(table, query):
    made = table()
    made.load({"a": [{"n": 1}]}, TableSchema.of(n="INTEGER"))
    query("CREATE INDEX by_n ON d (n)")
    with pytest.raises(SchemaError, match=r"n would be widened .* an index or constraint"):
        made.load({"b": [{"n": 2**40}]}, TableSchema.of(n="BIGINT"))
    assert made.holds({"n": 1})


def test_a_column_that_comes_to_a_table_with_a_primary_key_is_added(table, query):
    query("CREATE TABLE d (id BIGINT PRIMARY KEY)")
    made = table(write="replace", adopt=True)
    made.load({"a": [{"id": 1}]}, TableSchema.of(id="BIGINT"))
    made.load({"b": [{"id": 1, "x": 2}]}, TableSchema.of(id="BIGINT", x="INTEGER"))
    assert made.holds({"id": 1, "x": 2})
    assert query("SELECT constraint_type FROM duckdb_constraints() WHERE table_name = 'd'")


def test_two_keys_that_are_one_in_an_adopted_table_are_refused(table, query):
    query("CREATE TABLE d (id VARCHAR COLLATE NOCASE, n BIGINT)")
    query("INSERT INTO d VALUES ('a', 1)")
    made = table(write="merge", key="id", adopt=True)
    with pytest.raises(DataError, match="two keys of the load are one key of the table"):
        made.load(
            {"a": [{"id": "a", "n": 2}, {"id": "A", "n": 3}]},
            TableSchema.of(id="VARCHAR", n="BIGINT"),
        )
    assert query("SELECT id, n FROM d") == [("a", 1)]


def test_a_view_is_not_adopted(table, query):
    query("CREATE VIEW d AS SELECT 1 AS id")
    with pytest.raises(ConfigError, match="is a view"):
        table(adopt=True).load({"a": [{"id": 1}]}, TableSchema.of(id="BIGINT"))


def test_versions_are_not_put_into_a_table_that_has_none(table, query):
    query("CREATE TABLE d (id BIGINT, name VARCHAR, seen INTEGER, gone BOOLEAN)")
    with pytest.raises(ConfigError, match="has not the columns valid_from, valid_to"):
        table(write="scd2", key="id", adopt=True).load({"a": [row(1)]})


def test_an_adopted_table_gets_the_columns_that_it_lacks(table, query):
    query("CREATE TABLE d AS SELECT 1::BIGINT AS id, 'kept' AS note")
    made = table(adopt=True)
    made.load({"a": [{"id": 2, "x": 5}]}, TableSchema.of(id="BIGINT", x="INTEGER"))
    assert made.holds({"id": 1, "note": "kept", "x": None}, {"id": 2, "note": None, "x": 5})


def test_a_table_that_before_makes_is_loaded_into(table, query):
    made = table(
        before="CREATE TABLE IF NOT EXISTS d (id BIGINT PRIMARY KEY, note VARCHAR)",
        write="merge",
        key="id",
    )
    made.load({"a": [{"id": 1}]}, TableSchema.of(id="BIGINT"))
    made.load({"b": [{"id": 1}, {"id": 2}]}, TableSchema.of(id="BIGINT"))
    assert query("SELECT id FROM d ORDER BY 1") == [(1,), (2,)]
    assert query("SELECT constraint_type FROM duckdb_constraints() WHERE table_name = 'd'")
