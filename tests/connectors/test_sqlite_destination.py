"""What only SQLite does as a destination; what all destinations promise is in the conformance."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefect_etl.connectors.sqlite import CONNECTOR, SqliteConnection, SqliteDestination
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.schema import TableSchema
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import BusyError, ConfigError, DataError, SchemaError, StorageError
from prefect_etl.testing.loads import make_load

# Values at the ends of their types, and those that SQLite would change if it could.
VALUES = (
    *(("BOOLEAN", "TRUE"), ("TINYINT", "-128"), ("BIGINT", "9223372036854775807")),
    *(
        ("UBIGINT", "18446744073709551615"),
        ("HUGEINT", "'-170141183460469231731687303715884105728'"),
    ),
    *(("DECIMAL(12,2)", "9999999999.99"), ("DECIMAL(15,15)", "0.123456789012345")),
    *(("DECIMAL(38,10)", "1234567890123456789012345678.0123456789"),),
    *(("DECIMAL(18,0)", "999999999999999999"), ("FLOAT", "0.1"), ("FLOAT", "'nan'")),
    *(("DOUBLE", "'inf'"), ("DOUBLE", "5e-324"), ("DOUBLE", "'nan'"), ("DOUBLE", "NULL")),
    *(("VARCHAR", "'a' || chr(0) || '🙂'"), ("VARCHAR", "'1.10'"), ("BLOB", r"'\x00\xFF'")),
    *(("DATE", "'0044-03-15 (BC)'"), ("DATE", "'infinity'"), ("DATE", "'5877641-06-24'")),
    *(("TIMESTAMP", "'2024-01-01 00:00:00.5'"), ("TIMESTAMP", "'294247-01-10 04:00:54.775806'")),
    *(("TIMESTAMP", "'-infinity'"), ("TIMESTAMP_NS", "'2024-01-01 00:00:00.123456789'")),
    ("TIMESTAMP WITH TIME ZONE", "'2024-01-01 00:00:00.25+02'"),
    ("TIMESTAMP WITH TIME ZONE", "'infinity'"),
    *(("TIME", "'23:59:59.999999'"), ("TIME WITH TIME ZONE", "'23:59:59+02:30'")),
    *(("INTERVAL", "'1 month 2 days 3 hours'"), ("BIT", "'0101'")),
    *(("UUID", "'12345678-1234-1234-1234-123456789012'"), ("JSON", """'{"b":1.10}'""")),
)


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session(memory_limit="256MB", threads=1, wait=0.2)
    yield session
    session.close()


@pytest.fixture
def file(tmp_path: Path) -> SqliteConnection:
    return SqliteConnection.from_uri("sqlite:///a.sqlite", tmp_path)


def run(file: SqliteConnection, *statements: str) -> list[Any]:
    with closing(sqlite3.connect(file.path)) as connection, connection:
        for sql in statements:
            found = connection.execute(sql).fetchall()
    return found


def load_into(
    file: SqliteConnection, session: Session, rows: list[dict[str, Any]], **fields: Any
) -> None:
    schema = fields.pop("table", TableSchema.of(id="BIGINT", name="VARCHAR"))
    dataset = DatasetSpec.model_validate({"name": "d", "write": "replace", **fields})
    destination = SqliteDestination(file, session)
    state = destination.state(dataset)
    destination.commit(make_load(dataset, state, {f"u{state.version}": rows}, schema))


def one_row(session: Session) -> Load:
    """A load of one row with all the values."""
    values = ", ".join(f"CAST({v} AS {k}) AS c{n}" for n, (k, v) in enumerate(VALUES))
    schema = TableSchema.from_pairs((f"c{n}", kind) for n, (kind, _) in enumerate(VALUES))
    load = make_load(DatasetSpec(name="d"), LedgerState(), {"a": [{}]}, schema)
    return replace(load, rows=f"SELECT {values}, 0 AS {UNIT_ID}, 1 AS {ROW_NUMBER}")


def test_our_own_source_reads_back_what_was_written(
    file: SqliteConnection, session: Session
) -> None:
    """By what columns are declared as; whole numbers are wider, floats too."""
    SqliteDestination(file, session).commit(one_row(session))
    assert CONNECTOR.source is not None
    assert CONNECTOR.dataset is not None
    dataset = CONNECTOR.dataset.model_validate({"name": "d", "table": "d"})
    source, state = CONNECTOR.source(file, dataset, session), LedgerState()
    (batch,) = source.batches(list(source.units(state)), state)
    with source.read(batch) as rows, session.cursor() as cursor:
        cursor.register("_etl_stream", rows.stream)  # type: ignore[union-attr]
        cursor.execute(f"CREATE TEMP TABLE x AS {rows.select}")  # type: ignore[union-attr]
        for n, (kind, value) in enumerate(VALUES):
            same = f"c{n} IS NOT DISTINCT FROM CAST({value} AS {kind})"
            found = cursor.execute(f"SELECT {same}, c{n}::VARCHAR FROM x").fetchone()
            assert found
            assert found[0], (kind, value, found[1])


def test_anybody_can_calculate_with_what_was_written(
    file: SqliteConnection, session: Session
) -> None:
    """Decimals of up to 15 digits are numbers, dates are what SQLite's functions take."""
    schema = TableSchema.of(n="DECIMAL(9,2)", t="TIMESTAMP WITH TIME ZONE")
    rows = [{"n": 9.5, "t": "2024-02-29 01:00:00+01"}, {"n": 10, "t": None}]
    load_into(file, session, rows, table=schema)
    assert run(file, "SELECT sum(n), max(n), date(min(t)) FROM d") == [(19.5, 10, "2024-02-29")]


def test_a_replace_keeps_indexes_views_and_triggers(
    file: SqliteConnection, session: Session
) -> None:
    """Whether the columns stay or not."""
    load_into(file, session, [{"id": 1, "name": "a"}])
    run(
        file,
        "CREATE INDEX by_name ON d (name)",
        "CREATE VIEW names AS SELECT name FROM d",
        "CREATE TRIGGER no_loss BEFORE DELETE ON d WHEN old.id = 99 BEGIN SELECT 1; END",
    )
    load_into(file, session, [{"id": 2, "name": "b"}])
    wider = TableSchema.of(id="BIGINT", name="VARCHAR", more="DATE")
    load_into(file, session, [{"id": 3, "name": "c"}], table=wider)
    assert run(file, "SELECT * FROM names") == [("c",)]
    found = run(file, "SELECT name FROM sqlite_master WHERE type IN ('index', 'trigger')")
    assert {("by_name",), ("no_loss",)} <= set(found)


def test_a_widened_column_keeps_its_values_and_the_indexes(
    file: SqliteConnection, session: Session
) -> None:
    """SQLite cannot change a type, so the table is made anew."""
    for kind, value in (("DECIMAL(4,2)", 1.5), ("DECIMAL(30,4)", 2)):
        schema = TableSchema.of(id="BIGINT", n=kind)
        load_into(file, session, [{"id": 1, "n": value}], write="append", table=schema)
        run(file, "CREATE INDEX IF NOT EXISTS by_n ON d (n)")
    assert run(file, "SELECT n FROM d ORDER BY n") == [("1.5000",), ("2.0000",)]
    assert run(file, "SELECT 1 FROM sqlite_master WHERE name = 'by_n'") == [(1,)]


def test_a_value_that_would_change_when_widened_is_refused(
    file: SqliteConnection, session: Session
) -> None:
    """And the table is as it was."""
    load_into(file, session, [{"id": 2**53 + 1, "name": "a"}], write="append")
    with pytest.raises(SchemaError, match="9007199254740993"):
        load_into(
            file,
            session,
            [{"id": 1.5, "name": "a"}],
            write="append",
            table=TableSchema.of(id="DOUBLE", name="VARCHAR"),
        )
    assert run(file, "SELECT id, name FROM d") == [(2**53 + 1, "a")]


def test_a_key_that_changes_gets_an_index_of_its_own(
    file: SqliteConnection, session: Session
) -> None:
    """With a refresh; the old one would refuse rows."""
    load_into(file, session, [{"id": 1, "name": "a"}], write="merge", key="id")
    destination = SqliteDestination(file, session)
    dataset = DatasetSpec.model_validate({"name": "d", "write": "merge", "key": "name"})
    rows = [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]
    destination.commit(make_load(dataset, destination.state(dataset), {"u": rows}, refresh=True))
    assert run(file, "SELECT id, name FROM d") == [(1, "a"), (1, "b")]


@pytest.mark.parametrize("sql", ["COMMIT", "ATTACH 'x.sqlite' AS x", "PRAGMA synchronous = OFF"])
def test_sql_of_users_stays_in_the_transaction(
    file: SqliteConnection, session: Session, sql: str
) -> None:
    """It may not end it, nor reach for other files."""
    with pytest.raises(ConfigError, match="not authorized"):
        load_into(file, session, [{"id": 1, "name": "a"}], after=[f"DELETE FROM d; {sql}"])
    assert run(file, "SELECT count(*) FROM sqlite_master") == [(0,)]


def test_who_cannot_write_in_time_is_told(file: SqliteConnection, session: Session) -> None:
    """The other process goes on."""
    load_into(file, session, [{"id": 1, "name": "a"}])
    with closing(sqlite3.connect(file.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError, match="locked"):
            load_into(file, session, [{"id": 2, "name": "b"}])
    assert run(file, "SELECT id FROM d") == [(1,)]


def test_a_constraint_of_the_table_refuses_the_load(
    file: SqliteConnection, session: Session
) -> None:
    """The whole of it."""
    load_into(file, session, [{"id": 1, "name": "a"}], write="append")
    run(file, "CREATE UNIQUE INDEX once ON d (name)")
    with pytest.raises(DataError, match="UNIQUE"):
        load_into(file, session, [{"id": 2, "name": "b"}, {"id": 3, "name": "a"}], write="append")
    assert run(file, "SELECT id FROM d") == [(1,)]


@pytest.mark.parametrize("declared", ["NUMERIC", "INTEGER", "REAL"])
def test_a_column_that_would_change_text_is_not_adopted(
    file: SqliteConnection, session: Session, declared: str
) -> None:
    """SQLite would make a number of it."""
    run(file, f"CREATE TABLE d (id INTEGER PRIMARY KEY, name {declared})")
    with pytest.raises(SchemaError):
        load_into(file, session, [{"id": 1, "name": "1.10"}], write="append", adopt=True)


def test_versions_begin_in_years_that_are_in_order_as_text(
    file: SqliteConnection, session: Session
) -> None:
    """The others would be taken for late rows."""
    versions = {"write": "scd2", "key": "id", "cursor": "t"}
    schema = TableSchema.of(id="BIGINT", t="TIMESTAMP")
    load_into(file, session, [{"id": 1, "t": "2024-01-01"}], table=schema, **versions)
    with pytest.raises(SchemaError, match="10000-01-01"):
        load_into(file, session, [{"id": 1, "t": "10000-01-01"}], table=schema, **versions)


def test_what_a_killed_process_left_is_rolled_back(
    file: SqliteConnection, session: Session
) -> None:
    """By whoever comes next, also to read."""
    load_into(file, session, [{"id": 1, "name": "a"}], write="append")
    killed = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size = 10')\n"
        "c.execute('BEGIN')\n"
        "c.executemany('INSERT INTO d (name) VALUES (?)', [('x' * 1000,)] * 1000)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", killed, str(file.path)], check=False)
    assert file.path.with_name("a.sqlite-journal").exists()
    assert SqliteDestination(file, session).state(DatasetSpec(name="d")).version == 1
    assert run(file, "SELECT id, name FROM d") == [(1, "a")]


def test_a_schema_is_refused(file: SqliteConnection, session: Session) -> None:
    """A SQLite file has none but main."""
    load_into(file, session, [{"id": 1, "name": "a"}], schema="main")
    with pytest.raises(ConfigError, match="no schemas"):
        load_into(file, session, [{"id": 1, "name": "a"}], schema="other")


def test_what_is_no_sqlite_file_is_told(file: SqliteConnection, session: Session) -> None:
    """It is not touched."""
    file.path.write_text("a text that is long enough" * 100)
    with pytest.raises(StorageError, match="not a database"):
        load_into(file, session, [{"id": 1, "name": "a"}])
    assert file.path.read_text().startswith("a text")
