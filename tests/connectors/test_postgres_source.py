"""A PostgreSQL database as a source: what is read, of which moment, and what goes wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from pydantic import ValidationError

from prefect_etl.connectors.postgres import CONNECTOR
from prefect_etl.connectors.postgres.connection import PostgresConnection
from prefect_etl.connectors.postgres.source import PostgresDataset, PostgresSource
from prefect_etl.core.cursor import Window
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.rows import STREAM
from prefect_etl.core.schema import TableSchema
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import (
    AccessError,
    BusyError,
    ConfigError,
    EtlError,
    SourceChangedError,
    SourceReadError,
    UnreachableError,
)
from servers.proxy import CutAfter, Proxy

FIRST = LedgerState()
KEYED = {"write": "merge", "key": "id"}


@pytest.fixture(scope="module")
def session():
    session = Session(memory_limit="200MB", threads=1)
    yield session
    session.close()


@pytest.fixture
def open_source(pg_uri, session):
    opened = []

    def open_source(uri=pg_uri, **fields):
        config = PostgresConnection.from_uri(uri, Path())
        opened.append(PostgresSource(config, PostgresDataset(name="d", **fields), session))
        return opened[-1]

    yield open_source
    for source in opened:
        source.close()


@pytest.fixture
def execute(pg_uri):
    with psycopg.connect(pg_uri, autocommit=True) as connection:
        yield connection.execute


def planned(source, state=FIRST):
    units = source.units(state)
    known = {known.unit.identity for known in state.units.values()}
    return source.batches([u for u in units if u.identity not in known], state)


def rows_of(source, batch, session):
    with source.read(batch) as rows, session.cursor() as cursor:
        cursor.register(STREAM, rows.stream)
        return cursor.execute(rows.select).fetchall()


def read(source, session, state=FIRST):
    return sorted(
        (row for batch in planned(source, state) for row in rows_of(source, batch, session)),
        key=str,
    )


def after(found, **more):
    """The ledger after some batches were loaded."""
    cursor = found[0].reading["upper"]
    return LedgerState(1, "l", schema=TableSchema.of(id="INTEGER"), cursor=cursor, **more)


def idle_transactions(execute):
    # The driver's last words may still be under way.
    sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'prefect_etl'"
    for _ in range(100):
        if (left := execute(sql).fetchone()[0]) == 0:
            return 0
        execute("SELECT pg_sleep(0.02)")
    return left


# -- what is read ----------------------------------------------------------------------------------


def test_a_table_is_found_as_it_is_written_or_else_but_for_case(open_source, execute, session):
    execute('CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE "Orders" AS SELECT 2 AS id')
    assert read(open_source(table="Orders"), session) == [(2,)]
    assert read(open_source(table="PUBLIC.ORDERS"), session) == [(1,)]


IN_PARTS = "CREATE TABLE part PARTITION OF t DEFAULT; INSERT INTO t VALUES (1)"


@pytest.mark.parametrize(
    "made",
    [
        "CREATE VIEW t AS SELECT 1 AS id",
        "CREATE MATERIALIZED VIEW t AS SELECT 1 AS id",
        "CREATE TABLE t (id int) PARTITION BY LIST (id);" + IN_PARTS,
    ],
)
def test_whatever_has_rows_is_read(open_source, execute, session, made):
    execute(made)
    assert read(open_source(table="t"), session) == [(1,)]


def test_a_query_takes_values_which_are_no_sql(open_source, session):
    query = "SELECT $name AS n, $since::date + 1 AS d -- $name\n;"
    fields = {"query": query, "parameters": {"name": "it's", "since": "2024-01-01"}}
    ((name, day),) = read(open_source(**fields), session)
    assert (name, str(day)) == ("it's", "2024-01-02")


def test_rows_outside_a_filter_are_not_read(open_source, execute, session):
    execute("CREATE TABLE t AS SELECT id, 1 / (id - 1) AS n FROM generate_series(2, 9) id")
    source = open_source(table="t", filter="id > 7 OR id = 2 -- the first")
    assert [row[0] for row in read(source, session)] == [2, 8, 9]


def test_columns_that_are_left_out_are_not_read(open_source, execute, session):
    execute("CREATE TABLE t AS SELECT 1 AS id, 'x' AS secret, 2 AS n")
    assert read(open_source(table="t", columns={"drop": "secret"}), session) == [(1, 2)]
    assert read(open_source(table="t", columns={"select": ["N"]}), session) == [(2,)]


def test_the_columns_are_known_before_they_are_read(open_source, execute):
    execute("CREATE TABLE t (id int, n numeric(5,2))")
    source = open_source(table="t")
    (batch,) = planned(source)
    assert source.schema(batch).pairs() == [("id", "INTEGER"), ("n", "DECIMAL(5,2)")]


def test_a_query_cannot_change_anything(open_source, execute, session):
    execute("CREATE TABLE t AS SELECT 1 AS id")
    for query in (
        "SELECT 1 AS x) q; DROP TABLE t; SELECT * FROM (SELECT 1",
        "WITH gone AS (DELETE FROM t RETURNING id) SELECT * FROM gone",
        "SELECT lo_create(77)",
    ):
        with pytest.raises(EtlError):
            read(open_source(query=query), session)
    assert execute("SELECT count(*) FROM t").fetchone() == (1,)
    assert execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone() == (0,)


# -- windows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        ("timestamptz", "2024-01-01 00:00:00+00", "2024-01-02 00:00:00.5+00", "1 hour"),
        ("timestamp", "2024-01-01 00:00:00", "2024-01-02 00:00:00.5", "1 hour"),
        ("date", "2024-01-01", "2024-01-02", "1 day"),
        ("int", "9", "10", 1),
        ("numeric", "9.5", "10.25", 1),
        ("text", "B", "a", None),
    ],
)
def test_windows_of_each_kind_of_cursor(open_source, execute, session, case):
    kind, low, high, lag = case
    execute(f"CREATE TABLE t (id int, c {kind})")
    execute(f"INSERT INTO t VALUES (1, '{low}'), (2, NULL)")
    source = open_source(table="t", cursor={"column": "c", "lag": lag})
    assert [row[0] for row in read(source, session)] == [1, 2]
    state = after(planned(source))
    assert state.cursor == low
    execute(f"INSERT INTO t VALUES (3, '{high}'), (4, NULL)")
    assert [row[0] for row in read(source, session, state)] == [1, 3]
    assert planned(source, state)[0].reading["upper"] == high


@pytest.mark.parametrize("value", ["'infinity'::date", "'infinity'::timestamptz", "'NaN'::numeric"])
def test_a_cursor_after_which_nothing_comes_is_refused(open_source, execute, value):
    execute(f"CREATE TABLE t AS SELECT {value} AS c")
    with pytest.raises(SourceReadError, match=r"column c has the value \w+, after which nothing"):
        planned(open_source(table="t", cursor="c"))


@pytest.mark.parametrize(("kind", "name"), [("float8", "float8"), ("int[]", "_int4")])
def test_a_column_that_cannot_be_a_cursor_is_refused(open_source, execute, kind, name):
    execute(f"CREATE TABLE t (c {kind})")
    with pytest.raises(SourceReadError, match=f"column c is {name}, which cannot be a cursor"):
        planned(open_source(table="t", cursor="c"))


def test_a_lag_of_another_kind_is_refused(open_source, execute):
    execute("CREATE TABLE t (c int)")
    with pytest.raises(ConfigError, match="lag: 1 hour does not fit column c, which is int4"):
        planned(open_source(table="t", cursor={"column": "c", "lag": "1 hour"}))


def test_a_window_of_a_backfill_is_open_at_its_end(open_source, execute, session):
    execute(
        "CREATE TABLE t AS SELECT id, date '2024-01-01' + id AS c FROM generate_series(0, 9) id"
    )
    source = open_source(table="t", cursor="c")
    (batch,) = source.window(Window("2024-01-03", "2024-01-05", open=True), FIRST)
    assert [row[0] for row in rows_of(source, batch, session)] == [2, 3]


def test_bounds_of_a_backfill_that_are_no_dates_are_refused(open_source, execute):
    execute("CREATE TABLE t (c date)")
    with pytest.raises(ConfigError, match="window 1 to 2 does not fit the cursor c"):
        open_source(table="t", cursor="c").window(Window("1", "2", open=True), FIRST)


# -- parts and moments -----------------------------------------------------------------------------

NUMBERED = "SELECT id, md5(id::text) AS name FROM generate_series(1, 1000) id"
SPARSE = (
    "CREATE TABLE t AS SELECT (id ^ 3)::bigint AS id FROM generate_series(1, 1000) id;"
    "ALTER TABLE t ADD PRIMARY KEY (id)"
)
PARTITIONED = (
    "CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id);"
    "CREATE TABLE p1 PARTITION OF t FOR VALUES FROM (0) TO (500);"
    "CREATE TABLE p2 PARTITION OF t DEFAULT; INSERT INTO t SELECT generate_series(1, 1000)"
)


@pytest.mark.parametrize(
    ("made", "key"),
    [
        (f"CREATE TABLE t AS {NUMBERED}; ALTER TABLE t ADD PRIMARY KEY (id)", "id"),
        (f"CREATE TABLE t AS {NUMBERED}; ALTER TABLE t ADD PRIMARY KEY (name, id)", "name"),
        (SPARSE, "id"),
        (f"CREATE TABLE t AS {NUMBERED}", "ctid"),
        (f"CREATE MATERIALIZED VIEW t AS {NUMBERED}", "ctid"),
        (PARTITIONED, "id"),
    ],
)
def test_a_large_table_is_read_in_parts_each_row_once(open_source, execute, session, made, key):
    execute(f"{made}; ANALYZE t")
    source = open_source(table="t", chunk_rows=300, **KEYED)
    found = planned(source)
    assert len(found) in (3, 4)
    assert {batch.reading["key"] for batch in found} == {key}
    rows = [row for batch in found for row in rows_of(source, batch, session)]
    assert len(rows) == len({row[0] for row in rows}) == 1000


def test_all_parts_are_of_one_moment(open_source, execute, session):
    execute(f"CREATE TABLE t AS {NUMBERED}; ANALYZE t")
    source = open_source(table="t", chunk_rows=300, write="replace")
    first, *others = planned(source)
    rows = rows_of(source, first, session)
    execute("UPDATE t SET name = 'new'; DELETE FROM t WHERE id % 2 = 0")
    rows += [row for batch in others for row in rows_of(source, batch, session)]
    assert len(rows) == 1000
    assert "new" not in {name for _, name in rows}
    assert idle_transactions(execute) == 0


def test_a_table_cannot_be_rewritten_between_its_parts(open_source, execute, session):
    execute(f"CREATE TABLE t AS {NUMBERED}; ANALYZE t; SET lock_timeout = '50ms'")
    source = open_source(table="t", chunk_rows=300, write="replace")
    first, *_ = planned(source)
    rows_of(source, first, session)
    with pytest.raises(psycopg.errors.LockNotAvailable):
        execute("VACUUM FULL t")


def test_parts_of_a_moment_that_is_over_are_refused(open_source, execute, session):
    execute(f"CREATE TABLE t AS {NUMBERED}; ANALYZE t")
    fields = {"table": "t", "chunk_rows": 300, "write": "replace"}
    first, *_ = planned(open_source(**fields))
    with pytest.raises(SourceChangedError, match="a moment that is over"):
        rows_of(open_source(**fields), first, session)


END_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE application_name = 'prefect_etl'"
)


def test_a_moment_that_the_server_lost_begins_anew_where_there_is_a_key(
    open_source, execute, session
):
    execute(f"CREATE TABLE t AS {NUMBERED}; ALTER TABLE t ADD PRIMARY KEY (id); ANALYZE t")
    source = open_source(table="t", chunk_rows=300, write="replace")
    first, *others = planned(source)
    rows = rows_of(source, first, session)
    execute(END_OTHERS)
    rows += [row for batch in others for row in rows_of(source, batch, session)]
    assert len({row[0] for row in rows}) == len(rows) == 1000


def test_a_moment_that_the_server_lost_is_an_error_where_there_is_no_key(
    open_source, execute, session
):
    execute(f"CREATE TABLE t AS {NUMBERED}; ANALYZE t")
    source = open_source(table="t", chunk_rows=300, write="replace")
    first, second, *_ = planned(source)
    rows_of(source, first, session)
    execute(END_OTHERS)
    with pytest.raises(SourceChangedError, match="no key to divide it"):
        rows_of(source, second, session)


def test_a_source_that_is_closed_leaves_no_transaction(open_source, execute, session):
    execute(f"CREATE TABLE t AS {NUMBERED}; ANALYZE t")
    source = open_source(table="t", chunk_rows=300, write="replace")
    rows_of(source, planned(source)[0], session)
    source.close()
    source.close()
    assert idle_transactions(execute) == 0


def test_what_is_not_read_to_its_end_leaves_no_transaction(open_source, execute):
    source = open_source(query="SELECT repeat('x', 1000) FROM generate_series(1, 200000)")
    (batch,) = planned(source)
    with source.read(batch) as rows:
        next(iter(rows.stream))
    assert idle_transactions(execute) == 0


# -- xmin ------------------------------------------------------------------------------------------


def test_rows_that_changed_are_found_without_a_cursor(open_source, execute, session):
    execute("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (2, 1)")
    source = open_source(table="t", cursor="xmin", **KEYED)
    assert read(source, session) == [(1, 1), (2, 1)]
    state = after(planned(source))
    assert planned(source, state) == []
    execute("UPDATE t SET n = 2 WHERE id = 2; INSERT INTO t VALUES (3, 2)")
    assert read(source, session, state) == [(2, 2), (3, 2)]


def test_a_transaction_that_began_early_and_commits_late_is_not_missed(
    open_source, execute, session, pg_uri
):
    execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    source = open_source(table="t", cursor="xmin", **KEYED)
    with psycopg.connect(pg_uri) as late:
        late.execute("INSERT INTO t VALUES (2)")
        execute("INSERT INTO t VALUES (3)")
        assert read(source, session) == [(1,), (3,)]
        state = after(planned(source))
    assert (2,) in read(source, session, state)


def test_a_database_from_before_is_told_by_its_transactions(open_source, execute):
    execute("CREATE TABLE t (id int)")
    source = open_source(table="t", cursor="xmin", **KEYED)
    ahead = str(int(planned(source)[0].reading["upper"]) + 1000)
    state = LedgerState(1, "l", schema=TableSchema.of(id="INTEGER"), cursor=ahead)
    with pytest.raises(SourceReadError, match="xmin went backwards"):
        planned(source, state)


def test_after_too_many_transactions_everything_is_read(open_source, execute, session):
    execute("CREATE TABLE t AS SELECT 1 AS id")
    source = open_source(table="t", cursor="xmin", **KEYED)
    ago = str(int(planned(source)[0].reading["upper"]) - 2**31)
    state = LedgerState(1, "l", schema=TableSchema.of(id="INTEGER"), cursor=ago)
    assert read(source, session, state) == [(1,)]


def test_xmin_needs_a_table_and_a_key(open_source, execute):
    execute("CREATE VIEW v AS SELECT 1 AS id")
    with pytest.raises(ConfigError, match=r"cursor: xmin needs a table, and .* is none"):
        planned(open_source(table="v", cursor="xmin", **KEYED))
    with pytest.raises(ValidationError, match="it needs write: merge or scd2"):
        PostgresDataset(name="d", table="t", cursor="xmin")


# -- what goes wrong -------------------------------------------------------------------------------


def test_what_is_missing_is_named_with_the_nearest(open_source, execute):
    execute("CREATE TABLE orders (id int, made date)")
    with pytest.raises(SourceReadError, match="no table ordres; did you mean orders"):
        planned(open_source(table="ordres"))
    with pytest.raises(SourceReadError, match="no column mad; did you mean made"):
        planned(open_source(table="orders", cursor="mad"))
    with pytest.raises(SourceReadError, match="no column idd; did you mean id"):
        planned(open_source(table="orders", columns={"select": "idd"}))


def test_a_query_with_two_columns_of_one_name_is_refused(open_source):
    with pytest.raises(SourceReadError, match="the query has two columns named a"):
        planned(open_source(query="SELECT 1 AS a, 2 AS a"))


def test_a_table_that_may_not_be_read_is_refused(open_source, execute, pg_uri):
    execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD 'x'")
    execute("CREATE TABLE t (id int)")
    where = pg_uri.split("@")[1]
    with pytest.raises(AccessError, match="permission denied for table t"):
        planned(open_source(uri=f"postgresql://stranger:x@{where}", table="t"))
    execute("DROP OWNED BY stranger; DROP ROLE stranger")


def test_a_statement_that_takes_too_long_is_an_error_that_says_so(open_source, pg_uri, session):
    uri = f"{pg_uri}{'&' if '?' in pg_uri else '?'}options=-cstatement_timeout%3D100"
    slow = "SELECT id, pg_sleep(0.001)::text AS s FROM generate_series(1, 1000) id"
    source = open_source(uri=uri, query=slow)
    (batch,) = planned(source)
    with pytest.raises(BusyError, match="statement timeout"):
        rows_of(source, batch, session)


def test_a_connection_that_breaks_while_rows_come_can_be_retried(open_source, session):
    broken = (
        "SELECT id FROM generate_series(1, 400000) id "
        "WHERE id < 390000 OR pg_terminate_backend(pg_backend_pid())"
    )
    source = open_source(query=broken)
    (batch,) = planned(source)
    with pytest.raises(UnreachableError, match="terminating connection"):
        rows_of(source, batch, session)


def test_a_wire_that_is_cut_anywhere_is_an_error_and_never_the_end_of_the_rows(
    open_source, execute, session, pg_uri
):
    execute(f"CREATE TABLE t AS {NUMBERED}")
    with Proxy(urlsplit(pg_uri).port) as proxy:
        source = open_source(uri=through(proxy, pg_uri), table="t")
        (batch,) = planned(source)
        before = proxy.passed["to client"]
        assert len(rows_of(source, batch, session)) == 1000
        size = proxy.passed["to client"] - before
        cuts = (*range(0, size - 200, 8192), size - 100, size - 20)
        for number, cut in enumerate(cuts):
            proxy.arm(CutAfter(cut, "to client", reset=number % 2 == 0))
            with pytest.raises(UnreachableError):
                rows_of(source, batch, session)
        assert len(rows_of(source, batch, session)) == 1000


def through(proxy, uri):
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(str(parts.port), str(proxy.port))))


def test_an_interrupt_stops_the_server_too(open_source, execute, pg_uri):
    import duckdb

    own = Session(memory_limit="100MB", threads=1)
    config = PostgresConnection.from_uri(pg_uri, Path())
    source = PostgresSource(config, PostgresDataset(name="d", query="SELECT pg_sleep(60)"), own)
    (batch,) = planned(source)
    threading.Timer(0.3, own.interrupt).start()
    with pytest.raises(duckdb.InterruptException):
        rows_of(source, batch, own)
    own.close()
    assert idle_transactions(execute) == 0


SLOW = """
import sys
from pathlib import Path
from prefect_etl.connectors.postgres.connection import PostgresConnection
from prefect_etl.connectors.postgres.source import PostgresDataset, PostgresSource
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.rows import STREAM
from prefect_etl.engine.duckdb import Session

session = Session(threads=2)
config = PostgresConnection.from_uri(sys.argv[1], Path())
dataset = PostgresDataset(name="d", query=sys.argv[2])
source = PostgresSource(config, dataset, session)
(batch,) = source.batches(source.units(LedgerState()), LedgerState())
print("reads", flush=True)
with source.read(batch) as rows, session.cursor() as cursor:
    cursor.register(STREAM, rows.stream)
    cursor.execute(rows.select).fetchall()
"""


@pytest.mark.parametrize(
    "query",
    [
        "SELECT pg_sleep(100)::text AS x",
        "SELECT id, pg_sleep(0.01)::text AS x FROM generate_series(1, 10000) id",
    ],
    ids=["before the first row", "between rows"],
)
def test_ctrl_c_stops_a_slow_query_at_once(pg_uri, execute, query):
    program = [sys.executable, "-c", SLOW, pg_uri, query]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert told.strip().endswith(b"KeyboardInterrupt")
    assert idle_transactions(execute) == 0


# -- what there is ---------------------------------------------------------------------------------


def test_tables_are_listed_with_their_keys_and_sizes(execute, pg_uri):
    execute(
        "CREATE TABLE a (x int, y numeric(5,2), PRIMARY KEY (y, x)); "
        "INSERT INTO a SELECT id, 1 FROM generate_series(1, 500) id; ANALYZE a; "
        "CREATE SCHEMA s; CREATE VIEW s.v AS SELECT * FROM a; "
        'CREATE TABLE s.odd ("A" int, "a" int)'
    )
    config = PostgresConnection.from_uri(pg_uri, Path())
    found = [
        (t.schema, t.name, t.kind, t.columns.pairs(), t.key, t.rows)
        for t in CONNECTOR.discover(config, None)
    ]
    columns = [("x", "INTEGER"), ("y", "DECIMAL(5,2)")]
    assert found == [
        ("public", "a", "table", columns, ("y", "x"), 500),
        ("s", "v", "view", columns, (), None),
    ]


def test_a_connection_says_to_what_it_leads(pg_uri):
    said = CONNECTOR.test(PostgresConnection.from_uri(pg_uri, Path()))
    assert said.startswith("PostgreSQL 1")
    assert "database " in said
    assert "user " in said
