"""What only MySQL and MariaDB do as a source; what all sources promise is in the conformance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from prefect_etl.connectors.base import ArrowRows
from prefect_etl.connectors.mysql import CONNECTOR
from prefect_etl.connectors.mysql import source as source_module
from prefect_etl.connectors.mysql.connection import MySqlConnection
from prefect_etl.connectors.mysql.reflecting import described, discover
from prefect_etl.connectors.mysql.source import MySqlDataset, MySqlSource
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.rows import STREAM
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Batch
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import AccessError, ConfigError, SourceReadError, UnreachableError

FIRST = LedgerState()
# What a column is, what is in it, what comes out, and as what; the rest is null.
TYPES = (
    *(("tinyint", "-128", "-128", "TINYINT"), ("tinyint unsigned", "255", "255", "UTINYINT")),
    *(("mediumint", "-8388608", "-8388608", "INTEGER"), ("int unsigned", "1", "1", "UINTEGER")),
    ("bigint unsigned", "18446744073709551615", "18446744073709551615", "UBIGINT"),
    ("bigint", "-9223372036854775808", "-9223372036854775808", "BIGINT"),
    ("decimal(12,2)", "-9999999999.99", "-9999999999.99", "DECIMAL(12,2)"),
    ("decimal(12,2) unsigned", "0.01", "0.01", "DECIMAL(12,2)"),
    ("decimal(38,0)", "9" * 38, "9" * 38, "DECIMAL(38,0)"),
    ("decimal(65,30)", f"{'9' * 35}.{'1' * 30}", f"{'9' * 35}.{'1' * 30}", "VARCHAR"),
    *(("float", "0.1", "0.1", "FLOAT"), ("double", "5e-324", "5e-324", "DOUBLE")),
    *(("bit(1)", "1", "true", "BOOLEAN"), ("bit(64)", "255", "255", "UBIGINT")),
    *(("year", "2155", "2155", "USMALLINT"), ("date", "'9999-12-31'", "9999-12-31", "DATE")),
    ("datetime(6)", "'1000-01-01 00:00:00.000001'", "1000-01-01 00:00:00.000001", "TIMESTAMP"),
    (
        *("timestamp(3)", "'2024-01-01 12:00:00.5'"),
        *("2024-01-01 12:00:00.5+00", "TIMESTAMP WITH TIME ZONE"),
    ),
    ("time(6)", "'23:59:59.999999'", "23:59:59.999999", "TIME"),
    ("varchar(20) collate utf8mb4_bin", "'é🙂'", "é🙂", "VARCHAR"),
    ("varchar(20) character set latin1", "'é'", "é", "VARCHAR"),
    *(("char(3)", r"'a\0b'", "a\0b", "VARCHAR"), ("longtext", "''", "", "VARCHAR")),
    *(("enum('a','b')", "'b'", "b", "VARCHAR"), ("set('x','y')", "'x,y'", "x,y", "VARCHAR")),
    *(("binary(2)", r"x'00ff'", r"\x00\xFF", "BLOB"), ("longblob", "x'c3'", r"\xC3", "BLOB")),
)


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session(memory_limit="256MB", threads=1)
    yield session
    session.close()


class Database:
    """A database, its source, and what that gives."""

    def __init__(self, uri: str, session: Session) -> None:
        self.connection = MySqlConnection.from_uri(uri, Path())
        self.session = session

    def run(self, *statements: str) -> None:
        connection = self.connection.connect()
        with connection, connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)

    def source(self, **fields: Any) -> MySqlSource:
        dataset = MySqlDataset.model_validate({"name": "d", **fields})
        return MySqlSource(self.connection, dataset, self.session)

    def plan(self, source: MySqlSource, state: LedgerState = FIRST) -> list[Batch]:
        return source.batches(source.units(state), state)

    def read(self, source: MySqlSource, batch: Batch, wanted: str = "*") -> list[tuple[Any, ...]]:
        with source.read(batch) as rows, self.session.cursor() as cursor:
            assert isinstance(rows, ArrowRows)
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.register(STREAM, rows.stream)
            return cursor.execute(f"SELECT {wanted} FROM ({rows.select})").fetchall()

    def rows(self, state: LedgerState = FIRST, **fields: Any) -> list[tuple[Any, ...]]:
        source = self.source(**{"table": "t", **fields})
        return [row for batch in self.plan(source, state) for row in self.read(source, batch)]

    def types(self, **fields: Any) -> Mapping[str, str]:
        source = self.source(**{"table": "t", **fields})
        return dict(source.schema(self.plan(source)[0]).pairs())


@pytest.fixture
def database(mysql_uri: str, session: Session) -> Database:
    return Database(mysql_uri, session)


@pytest.fixture(params=["connectorx", "pymysql"])
def way(request: pytest.FixtureRequest) -> str:
    """By which driver a table is read; nobody knows how large a view is."""
    return str(request.param)


def test_types_come_out_exactly(database: Database, way: str) -> None:
    """Of both drivers alike."""
    columns = ", ".join(f"c{n} {kind} NULL" for n, (kind, *_) in enumerate(TYPES))
    table = "t" if way == "connectorx" else "v"
    values = ", ".join(value for _, value, *_ in TYPES)
    database.run(
        f"CREATE TABLE t (id int NOT NULL, {columns}) CHARACTER SET utf8mb4",
        f"INSERT INTO t VALUES (1, {values})",
        "INSERT INTO t (id) VALUES (2)",
        "CREATE VIEW v AS SELECT * FROM t",
        "ANALYZE TABLE t",
    )
    source = database.source(table=table)
    (batch,) = database.plan(source)
    with source._stream(batch) as stream:
        assert (stream.schema.field("id").type == "int32") == (way == "connectorx")
    found, nulls = database.read(
        source, batch, ", ".join(f"CAST(c{n} AS VARCHAR)" for n in range(len(TYPES)))
    )
    for (kind, _, expected, _), value in zip(TYPES, found, strict=True):
        assert value == expected, kind
    assert set(nulls) == {None}
    told = database.types(table=table)
    for n, (kind, *_, expected) in enumerate(TYPES):
        assert told[f"c{n}"] == expected, kind


def test_timestamps_are_moments_in_utc(database: Database) -> None:
    """Whatever the zone of the server or of who wrote them; datetimes have no zone."""
    database.run(
        "CREATE TABLE t (a timestamp NULL, b datetime)",
        "SET time_zone = '+05:00'",
        "INSERT INTO t VALUES ('2024-01-01 05:00:00', '2024-01-01 05:00:00')",
    )
    assert database.types() == {"a": "TIMESTAMP WITH TIME ZONE", "b": "TIMESTAMP"}
    ((moment, local),) = database.rows()
    assert (str(moment), str(local)) == ("2024-01-01 00:00:00+00:00", "2024-01-01 05:00:00")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "0000-00-00"),
        ("date", "2024-00-01"),
        ("datetime", "0000-00-00 00:00:00"),
        ("time", "-00:00:01"),
        ("time", "838:59:59"),
    ],
)
def test_a_value_that_the_engine_lacks_is_refused(
    database: Database, kind: str, value: str
) -> None:
    """By name; it can be had as text."""
    database.run(
        f"CREATE TABLE t (c {kind})", "SET sql_mode = ''", f"INSERT INTO t VALUES ('{value}')"
    )
    with pytest.raises(SourceReadError, match=f'column "c" holds \'{value}') as caught:
        database.rows()
    assert "types: {column: VARCHAR}" in str(caught.value.hint)
    assert database.rows(types={"c": "VARCHAR"}) == [(value,)]


def test_a_pinned_type_is_read_instead(database: Database) -> None:
    """Where the engine's own choice is too narrow, or too wide."""
    database.run(
        "CREATE TABLE t (a time, b decimal(65,30))", "INSERT INTO t VALUES ('838:59:59', 1.25)"
    )
    pins = {"a": "INTERVAL", "b": "DECIMAL(38,2)"}
    assert database.types(types=pins) == pins
    ((long, exact),) = database.rows(types=pins)
    assert (long.total_seconds(), str(exact)) == (3_020_399, "1.25")
    with pytest.raises(SourceReadError, match=r"1\.25.*DECIMAL\(38,1\)"):
        database.rows(types={"a": "INTERVAL", "b": "DECIMAL(38,1)"})


def test_a_geometry_is_refused_unless_it_is_dropped(database: Database) -> None:
    """The engine has nothing like it."""
    database.run("CREATE TABLE t (id int, place point)", "INSERT INTO t VALUES (1, POINT(1, 2))")
    with pytest.raises(SourceReadError, match="place"):
        database.rows()
    assert database.rows(columns={"drop": ["place"]}) == [(1,)]


def test_a_large_table_is_read_in_slices(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row once, whatever gaps the key has."""
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(500))",
        "INSERT INTO t SELECT CAST(seq AS SIGNED) * 2 - 4000, repeat('x', 500) FROM seq_1_to_4000",
        "ANALYZE TABLE t",
    )
    monkeypatch.setattr("prefect_etl.connectors.mysql.reading._SLICE_BYTES", 2**18)
    asked: list[int] = []
    fast = source_module.fast_stream

    def counted(connection: MySqlConnection, statements: Any) -> Any:
        asked.append(len(statements))
        return fast(connection, statements)

    monkeypatch.setattr(source_module, "fast_stream", counted)
    assert {row[0] for row in database.rows()} == set(range(-3998, 4001, 2))
    assert asked[0] > 5
    parts = database.plan(database.source(table="t", write="replace", chunk_rows=1000))
    assert len(parts) > 2
    rows = database.rows(write="replace", chunk_rows=1000, filter="id % 4 = 0")
    assert sorted(row[0] for row in rows) == list(range(-3996, 4001, 4))


def test_what_is_not_read_to_its_end_is_let_go(database: Database) -> None:
    """The server does not send the rest."""
    database.run("CREATE TABLE t (a varchar(500))", "CREATE VIEW v AS SELECT * FROM t")
    database.run("INSERT INTO t SELECT repeat('x', 500) FROM seq_1_to_20000")
    source = database.source(table="v")
    (batch,) = database.plan(source)
    with source.read(batch) as rows:
        assert isinstance(rows, ArrowRows)
        assert rows.stream.read_next_batch().num_rows > 0


def test_a_query_has_parameters(database: Database) -> None:
    """Text with quotes and backslashes, too."""
    database.run("CREATE TABLE t (id int, a varchar(9))", r"INSERT INTO t VALUES (1, 'it''s\\')")
    query = "SELECT id + 1 AS n, a FROM t WHERE a = $text"
    found = database.rows(table=None, query=query, parameters={"text": "it's\\"})
    assert found == [(2, "it's\\")]
    with pytest.raises(ConfigError, match="Duplicate column name"):
        database.rows(table=None, query="SELECT id, a AS ID FROM t")


@pytest.mark.parametrize(
    ("declared", "values", "kind"),
    [
        ("int", ("1", "2", "10"), "INTEGER"),
        ("decimal(9,2)", ("1.5", "2", "10.25"), "DECIMAL(9,2)"),
        ("varchar(9)", ("'A'", "'Z'", "'a'"), "VARCHAR"),
        ("date", ("'2024-01-01'", "'2024-01-02'", "'2024-01-10'"), "DATE"),
        ("timestamp(6) NULL", tuple(f"'2024-01-01 0{n}:00:00.5'" for n in "123"), "TIMESTAMP"),
    ],
)
def test_a_run_reads_from_the_last_cursor_on(
    database: Database, declared: str, values: tuple[str, str, str], kind: str
) -> None:
    """Text is compared byte by byte, whatever its collation."""
    first, second, third = values
    database.run(f"CREATE TABLE t (c {declared})")
    database.run(f"INSERT INTO t VALUES ({first}), ({second}), (NULL)")
    source = database.source(table="t", cursor="c")
    (batch,) = database.plan(source)
    assert len(database.read(source, batch)) == 3
    database.run(f"INSERT INTO t VALUES ({third})")
    state = LedgerState(version=1, schema=TableSchema.of(c=kind), cursor=batch.reading["upper"])
    assert len(database.rows(state, cursor="c")) == 2


def test_late_rows_are_read_within_the_lag(database: Database) -> None:
    """It needs a key."""
    database.run("CREATE TABLE t (id int PRIMARY KEY, c datetime(6))")
    database.run(*(f"INSERT INTO t VALUES ({n}, '2024-01-01 0{n}:30:00.25')" for n in range(5)))
    state = LedgerState(
        version=1, schema=TableSchema.of(c="TIMESTAMP"), cursor="2024-01-01 03:30:00.25"
    )
    lagging = {"cursor": {"column": "c", "lag": "1 hour"}, "write": "merge", "key": "id"}
    assert [row[0] for row in database.rows(state, **lagging)] == [2, 3, 4]


def test_what_is_wrong_is_told(database: Database) -> None:
    """Without the password."""
    database.run("CREATE TABLE orders (id int)")
    with pytest.raises(SourceReadError, match=r"no table ordres.*orders"):
        database.rows(table="ordres")
    with pytest.raises(ConfigError, match="nothing"):
        database.rows(table="orders", filter="nothing = 1")
    uri = database.connection.uri.get_secret_value()
    secret = str(urlsplit(uri).password)
    for wrong, kind in (
        (uri.replace(secret, "wrong"), AccessError),
        (uri.rpartition("/")[0] + "/absent", ConfigError),
        (uri.replace(f":{urlsplit(uri).port}", ":9"), UnreachableError),
    ):
        with pytest.raises(kind) as caught:
            described(MySqlConnection.from_uri(wrong, Path()))
        assert secret not in str(caught.value)


def test_tls_is_used_and_certificates_are_verified(database: Database) -> None:
    """Where the URI asks for it."""
    uri = database.connection.uri.get_secret_value()
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)", "ANALYZE TABLE t"
    )
    query = "SELECT variable_value AS v FROM information_schema.session_status "
    query += "WHERE variable_name = 'Ssl_cipher'"
    secured = Database(f"{uri}?ssl-mode=REQUIRED", database.session)
    assert secured.rows(table=None, query=query) != [("",)]
    assert secured.rows() == [(1,)]
    with pytest.raises(AccessError, match="certificate"):
        described(MySqlConnection.from_uri(f"{uri}?ssl-mode=VERIFY_IDENTITY", Path()))
    with pytest.raises(ConfigError, match="no option"):
        MySqlConnection.from_uri(f"{uri}?sslmode=require", Path())


def test_discovery_lists_tables_and_views(database: Database) -> None:
    """With types and keys; mariadb:// is the same."""
    database.run(
        "CREATE TABLE t (id int unsigned PRIMARY KEY, price decimal(9,2))",
        "CREATE VIEW v AS SELECT price FROM t",
    )
    found = discover(database.connection, database.session)
    assert [(f.name, f.kind, f.columns.pairs(), f.key) for f in found] == [
        ("t", "table", [("id", "UINTEGER"), ("price", "DECIMAL(9,2)")], ("id",)),
        ("v", "view", [("price", "DECIMAL(9,2)")], ()),
    ]
    assert "MariaDB" in described(database.connection)
    assert "mariadb" in CONNECTOR.schemes
