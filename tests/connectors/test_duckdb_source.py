"""A DuckDB file as a source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from prefect_etl.connectors.base import ArrowRows, Relation
from prefect_etl.connectors.duckdb.source import DuckDBDataset, DuckDBSource
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import TableSchema
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, SourceReadError

LOADED = TableSchema.of(id="INTEGER", made="DATE")


@dataclass(frozen=True)
class File:
    path: Path


@pytest.fixture
def session():
    session = Session(memory_limit="200MB", threads=1, wait=1)
    yield session
    session.close()


@pytest.fixture
def file(tmp_path, session):
    file = File(tmp_path / "shop.v1.duckdb")
    change(
        session,
        file,
        "CREATE TABLE orders AS SELECT * FROM (VALUES (1, DATE '2024-01-01'), "
        "(2, DATE '2024-01-02'), (3, NULL)) v(id, made); "
        'CREATE SCHEMA s; CREATE TABLE s.lines AS SELECT 7::HUGEINT AS n, \'a\' AS "odd "" name"',
    )
    return file


def change(session, file, sql):
    with session.attached(file.path, read_only=False) as cursor:
        cursor.execute(sql)


def source(file, session, **fields):
    return DuckDBSource(file, DuckDBDataset(name="d", **fields), session)


def read(source, session, state=LedgerState()):  # noqa: B008  # frozen
    rows = []
    for batch in source.batches(source.units(state), state):
        with source.read(batch) as found, session.cursor() as cursor:
            if isinstance(found, Relation):
                rows += cursor.execute(found.sql, found.parameters).fetchall()
            else:
                assert isinstance(found, ArrowRows)
                rows += cursor.from_arrow(found.stream).fetchall()
    return sorted(rows, key=str)


def test_a_table_is_read_whole(file, session):
    assert len(read(source(file, session, table="orders"), session)) == 3


def test_a_table_may_be_in_a_schema_and_keeps_exact_types(file, session):
    found = source(file, session, table="S.Lines")
    assert read(found, session) == [(7, "a")]


def test_the_field_table_does_not_name_the_table_of_the_destination():
    assert DuckDBDataset(name="d", table="orders").table == "d"


def test_a_query_sees_the_tables_of_the_file_by_their_plain_names(file, session):
    sql = "WITH o AS (SELECT * FROM orders) SELECT o.id, l.n FROM o, s.lines l WHERE id < 3"
    found = source(file, session, query=sql)
    assert read(found, session) == [(1, 7), (2, 7)]


def test_a_query_keeps_types_that_arrow_does_not_know(file, session):
    found = source(
        file, session, query="SELECT n, INTERVAL 1 DAY AS i, '101'::BIT AS b FROM s.lines"
    )
    (batch,) = found.batches(found.units(LedgerState()), LedgerState())
    with found.read(batch) as rows, session.cursor() as cursor:
        types = [str(kind) for kind in cursor.from_arrow(rows.stream).types]
    assert types == ["HUGEINT", "INTERVAL", "BIT"]


def test_a_whole_table_is_a_new_version_of_one_unit_in_each_run(file, session):
    found = source(file, session, table="orders")
    (first,) = found.units(LedgerState())
    (second,) = found.units(LedgerState(version=1))
    assert first.position == second.position
    assert first.version != second.version
    assert not first.transient


def test_the_first_window_takes_everything_nulls_too(file, session):
    assert len(read(source(file, session, table="orders", cursor="made"), session)) == 3


def test_the_next_window_of_an_append_takes_rows_with_the_last_cursor_again(file, session):
    found = source(file, session, table="orders", cursor="made")
    state = LedgerState(1, "l", schema=LOADED, cursor="2024-01-01")
    assert [row[0] for row in read(found, session, state)] == [1, 2]


def test_the_next_window_of_a_merge_takes_rows_with_the_last_cursor_again(file, session):
    found = source(file, session, table="orders", cursor="made", write="merge", key="id")
    state = LedgerState(1, "l", schema=LOADED, cursor="2024-01-01")
    assert [row[0] for row in read(found, session, state)] == [1, 2]


def test_there_is_no_unit_where_no_row_is_above_the_cursor(file, session):
    state = LedgerState(1, "l", schema=LOADED, cursor="2024-01-02")
    assert source(file, session, table="orders", cursor="made").units(state) == []


def test_the_upper_bound_of_a_window_is_fixed_when_it_is_planned(file, session):
    found = source(file, session, table="orders", cursor="made")
    (batch,) = found.batches(found.units(LedgerState()), LedgerState())
    change(session, file, "INSERT INTO orders VALUES (9, DATE '2024-02-01')")
    with found.read(batch) as rows:
        assert 9 not in {row[0] for row in session.query(rows.sql, rows.parameters)}


def test_the_cursor_is_found_under_its_name_before_columns_were_renamed(file, session):
    found = source(
        file, session, table="orders", cursor="changed", columns={"rename": {"made": "changed"}}
    )
    state = LedgerState(1, "l", schema=LOADED, cursor="2024-01-01")
    assert [row[0] for row in read(found, session, state)] == [1, 2]


def test_a_window_is_not_remembered_by_position(file, session):
    found = source(file, session, table="orders", cursor="made")
    (first,) = found.units(LedgerState())
    (next_one,) = found.units(LedgerState(1, "l", schema=LOADED, cursor="2024-01-01"))
    assert (first.position, first.version, first.transient) == ("start", "0", True)
    assert (next_one.position, next_one.transient) == ("from 2024-01-01", True)


def test_a_missing_table_is_named_with_the_nearest(file, session):
    with pytest.raises(SourceReadError, match="no table ordres; did you mean orders"):
        source(file, session, table="ordres").units(LedgerState())


def test_a_missing_file_is_named_and_not_made(tmp_path, session):
    missing = File(tmp_path / "no.duckdb")
    with pytest.raises(SourceReadError, match=r"no\.duckdb"):
        source(missing, session, table="t").units(LedgerState())
    assert not missing.path.exists()


def test_a_missing_cursor_column_is_an_error_of_the_source(file, session):
    found = source(file, session, table="orders", cursor="updated")
    with pytest.raises(SourceReadError, match="updated"):
        found.batches(found.units(LedgerState()), LedgerState())


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1; DROP TABLE orders",
        "SELECT 1) ; DROP TABLE orders; (SELECT 1",
        "DELETE FROM orders",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        'SELECT * FROM "/etc/passwd.csv"',
        "SELECT * FROM orders WHERE id IN (SELECT * FROM glob('*'))",
        "SELECT * FROM read_text('/etc/passwd') UNION ALL SELECT 'a'",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM frame",
    ],
)
def test_a_query_that_reads_more_than_tables_or_is_no_select_is_refused(file, session, query):
    frame = session.query("SELECT 1")
    assert frame
    with pytest.raises(ConfigError, match="d: query: "):
        source(file, session, query=query).units(LedgerState())


def test_the_file_can_be_written_after_it_was_read(file, session):
    read(source(file, session, query="SELECT * FROM orders"), session)
    change(session, file, "INSERT INTO orders VALUES (4, NULL)")
