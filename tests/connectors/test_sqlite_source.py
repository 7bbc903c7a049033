"""What only SQLite does as a source; what all sources promise is in the conformance."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prefect_etl.connectors.base import ArrowRows
from prefect_etl.connectors.relational import digest_of
from prefect_etl.connectors.sqlite import SqliteConnection
from prefect_etl.connectors.sqlite.reflecting import discover
from prefect_etl.connectors.sqlite.source import SqliteDataset, SqliteSource
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.rows import STREAM
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Batch
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import BusyError, ConfigError, SourceReadError, StorageError

FIRST = LedgerState()


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session(memory_limit="256MB", threads=1, wait=0.2)
    yield session
    session.close()


class File:
    """A SQLite file, its source, and what that gives."""

    def __init__(self, folder: Path, session: Session) -> None:
        self.connection = SqliteConnection.from_uri("sqlite:///a.sqlite", folder)
        self.session = session

    def run(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.connection.path)) as connection, connection:
            for sql in statements:
                connection.execute(sql)

    def source(self, **fields: Any) -> SqliteSource:
        dataset = SqliteDataset.model_validate({"name": "d", **fields})
        return SqliteSource(self.connection, dataset, self.session)

    def plan(self, source: SqliteSource, state: LedgerState = FIRST) -> list[Batch]:
        return source.batches(source.units(state), state)

    def read(self, source: SqliteSource, batch: Batch) -> list[tuple[Any, ...]]:
        with source.read(batch) as rows, self.session.cursor() as cursor:
            assert isinstance(rows, ArrowRows)
            cursor.register(STREAM, rows.stream)
            return cursor.execute(rows.select).fetchall()

    def rows(self, state: LedgerState = FIRST, **fields: Any) -> list[tuple[Any, ...]]:
        source = self.source(**{"table": "t", **fields})
        return [row for batch in self.plan(source, state) for row in self.read(source, batch)]

    def types(self, **fields: Any) -> Mapping[str, str]:
        source = self.source(**{"table": "t", **fields})
        return dict(source.schema(self.plan(source)[0]).pairs())


@pytest.fixture
def file(tmp_path: Path, session: Session) -> File:
    return File(tmp_path, session)


@pytest.mark.parametrize(
    ("declared", "value", "said"),
    [
        ("INTEGER", "'seven'", "'seven', which is no BIGINT"),
        ("TEXT", "x'00'", "which is no VARCHAR"),
        ("DATE", "'2024-02-30'", "'2024-02-30', which is no DATE"),
        ("DATETIME", "'2024-02-28T00:00:00Z'", "which is no TIMESTAMP"),
        ("TIMESTAMPTZ", "'2024-02-28 00:00:00'", "which is no TIMESTAMP WITH TIME ZONE"),
        ("DECIMAL(9,2)", "0.125", "0.125', which is no DECIMAL"),
        ("DECIMAL(38,2)", "'1.234x'", "1.234x', which is no DECIMAL"),
        ("BOOLEAN", "2", "2', which is no BOOLEAN"),
        ("REAL", "'none'", "which is no DOUBLE"),
    ],
)
def test_a_value_of_another_type_is_an_error_with_its_place(
    file: File, declared: str, value: str, said: str
) -> None:
    """SQLite takes any value in any column."""
    file.run(f"CREATE TABLE t (c {declared})", f"INSERT INTO t (rowid, c) VALUES (7, {value})")
    with pytest.raises(SourceReadError) as caught:
        file.rows()
    assert said in caught.value.message
    assert 'd: t: column "c" holds' in caught.value.message
    assert "in the row with rowid 7" in caught.value.message
    assert "types:" in str(caught.value.hint)


def test_a_column_without_a_type_has_that_of_its_values(file: File) -> None:
    """Text where they differ."""
    file.run(
        "CREATE TABLE t (a, b, c, d, e)",
        "INSERT INTO t VALUES (1, 1, 'x', x'00', NULL), (2, 0.5, 3, x'01', NULL)",
    )
    types = {"a": "BIGINT", "b": "DOUBLE", "c": "VARCHAR", "d": "BLOB", "e": "NULL"}
    assert file.types() == types
    assert file.rows()[1] == (2, 0.5, "3", b"\x01", None)


def test_a_pinned_type_is_read_instead(file: File) -> None:
    """Where what is declared is wrong."""
    file.run("CREATE TABLE t (c DATETIME)", "INSERT INTO t VALUES (1700000000)")
    assert file.rows(types={"c": "BIGINT"}) == [(1_700_000_000,)]
    assert file.rows(types={"c": "VARCHAR"}) == [("1700000000",)]


def test_text_that_is_no_utf_8_is_an_error(file: File) -> None:
    """And can be had as bytes."""
    file.run("CREATE TABLE t (c TEXT)", "INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))")
    with pytest.raises(SourceReadError, match="UTF-8"):
        file.rows()
    assert file.rows(types={"c": "BLOB"}) == [(b"\xffA",)]


def test_a_query_has_the_types_of_its_tables(file: File) -> None:
    """Its parameters are values, and it is one SELECT."""
    file.run("CREATE TABLE t (day DATE, n INTEGER)", "INSERT INTO t VALUES ('2024-02-29', 1)")
    query = {"table": None, "query": "SELECT day, n + $m AS more FROM t", "parameters": {"m": 2}}
    assert file.types(**query) == {"day": "DATE", "more": "BIGINT"}
    for wrong in ("DELETE FROM t", "SELECT * FROM elsewhere.t"):
        with pytest.raises(ConfigError):
            file.rows(table=None, query=wrong)
    with pytest.raises(SourceReadError, match="two columns"):
        file.rows(table=None, query="SELECT n, n AS N FROM t")


def test_a_view_and_a_table_without_rowid_are_read(file: File) -> None:
    """Also in ranges of a key that is a whole number."""
    file.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, rowid TEXT) WITHOUT ROWID",
        "INSERT INTO t SELECT value, 'a' FROM json_each('[1, 2, 3, 4]')",
        "CREATE VIEW v AS SELECT id FROM t WHERE id > 3",
    )
    assert file.rows(table="v") == [(4,)]
    assert len(file.plan(file.source(table="t", chunk_rows=2, write="replace"))) == 2
    assert file.rows(chunk_rows=2, write="replace") == [(n, "a") for n in range(1, 5)]


def test_parts_are_read_of_one_moment(file: File) -> None:
    """What is written after the first part began is not seen."""
    file.run(
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE t (id INTEGER)",
        "INSERT INTO t SELECT value FROM json_each('[1, 2, 3, 4]')",
    )
    source = file.source(table="t", chunk_rows=2, write="replace")
    first, second = file.plan(source)
    assert file.read(source, first) == [(1,), (2,)]
    file.run("UPDATE t SET id = -id")
    assert file.read(source, second) == [(3,), (4,)]
    source.close()


@pytest.mark.parametrize(
    ("declared", "values", "kind"),
    [
        ("INTEGER", ("1", "2", "10"), "BIGINT"),
        ("DECIMAL(9,2)", ("1.5", "2", "10.25"), "DECIMAL(9,2)"),
        ("TEXT", ("'A'", "'Z'", "'a'"), "VARCHAR"),
        ("DATE", ("'2024-01-01'", "'2024-01-02'", "'2024-01-10'"), "DATE"),
        (
            "TIMESTAMPTZ",
            ("'2024-01-01T00:00:00Z'", "'2024-01-01T00:00:00.5Z'", "'2024-01-02T00:00:00Z'"),
            "TIMESTAMP WITH TIME ZONE",
        ),
    ],
)
def test_a_run_reads_from_the_last_cursor_on(
    file: File, declared: str, values: tuple[str, str, str], kind: str
) -> None:
    """Also where the ledger has it as the engine spells it."""
    first, second, third = values
    file.run(
        f"CREATE TABLE t (c {declared})", f"INSERT INTO t VALUES ({first}), ({second}), (NULL)"
    )
    source = file.source(table="t", cursor="c")
    (batch,) = file.plan(source)
    assert len(file.read(source, batch)) == 3
    file.run(f"INSERT INTO t VALUES ({third})")
    state = LedgerState(version=1, schema=TableSchema.of(c=kind), cursor=batch.reading["upper"])
    assert len(file.rows(state, cursor="c")) == 2
    engine = file.session.query(f"SELECT CAST(CAST({second} AS {kind}) AS VARCHAR)")[0][0]
    state = LedgerState(version=1, schema=TableSchema.of(c=kind), cursor=engine)
    assert len(file.rows(state, cursor="c")) == 2


@pytest.mark.parametrize("more", [{"columns": {"drop": ["b"]}}, {"types": {"b": "VARCHAR"}}])
def test_what_was_read_of_other_columns_is_not_what_is_read_now(more: dict[str, Any]) -> None:
    plain = SqliteDataset(name="d", table="t")
    other = SqliteDataset(name="d", table="t", **more)
    assert digest_of(*plain.read) != digest_of(*other.read)


def test_late_rows_are_read_within_the_lag(file: File) -> None:
    """It needs a key."""
    file.run("CREATE TABLE t (id INTEGER PRIMARY KEY, c TIMESTAMP)")
    file.run(*(f"INSERT INTO t (c) VALUES ('2024-01-01 0{n}:30:00.25')" for n in range(5)))
    state = LedgerState(
        version=1, schema=TableSchema.of(c="TIMESTAMP"), cursor="2024-01-01 03:30:00.25"
    )
    lagging = {"cursor": {"column": "c", "lag": "1 hour"}, "write": "merge", "key": "id"}
    assert [row[0] for row in file.rows(state, **lagging)] == [3, 4, 5]


def test_a_file_that_is_locked_or_missing_is_told(file: File) -> None:
    """After the wait."""
    with pytest.raises(StorageError, match="no SQLite file"):
        file.rows()
    file.run("CREATE TABLE t (id INTEGER)")
    with closing(sqlite3.connect(file.connection.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BusyError, match="locked"):
            file.rows()


def test_a_table_that_is_not_there_is_told_with_the_nearest(file: File) -> None:
    """As in all sources."""
    file.run("CREATE TABLE orders (id INTEGER)")
    with pytest.raises(SourceReadError, match=r"no table ordres.*orders"):
        file.rows(table="ordres")


def test_discovery_lists_tables_and_views(file: File) -> None:
    """With types, keys, and about how many rows."""
    file.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, price DECIMAL(9,2))",
        "INSERT INTO t VALUES (1, 2), (2, 3)",
        "CREATE VIEW v AS SELECT price FROM t",
    )
    found = [
        (f.name, f.kind, f.columns.pairs(), f.key, f.rows)
        for f in discover(file.connection, file.session)
    ]
    assert found == [
        ("t", "table", [("id", "BIGINT"), ("price", "DECIMAL(9,2)")], ("id",), 2),
        ("v", "view", [("price", "DECIMAL(9,2)")], (), None),
    ]
