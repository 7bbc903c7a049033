"""PostgreSQL as a destination, beside what the conformance suite says of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg
import pytest

from prefect_etl.connectors.postgres import PostgresConnection, PostgresDestination
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import TableSchema
from prefect_etl.errors import AccessError, BusyError, ConfigError, DataError, SchemaError
from prefect_etl.testing.exercise import small_session
from prefect_etl.testing.exercises import Postgres
from prefect_etl.testing.loads import Table, make_load, row

MADE_BY_HAND = """
    CREATE ROLE reader_of_d;
    CREATE TABLE d (id bigint PRIMARY KEY, name text DEFAULT 'x', seen integer UNIQUE,
        gone boolean, twice integer GENERATED ALWAYS AS (seen * 2) STORED, CHECK (seen < 1000));
    CREATE INDEX by_name ON d (lower(name)) WHERE name <> 'USING';
    COMMENT ON TABLE d IS 'of orders';
    COMMENT ON COLUMN d.name IS 'of a customer';
    COMMENT ON INDEX by_name IS 'for searches';
    GRANT SELECT ON d TO reader_of_d;
    GRANT UPDATE ON d TO reader_of_d WITH GRANT OPTION;
"""


@pytest.fixture
def table(postgres, tmp_path) -> Iterator[Any]:
    """Makes tables of a database of its own."""
    Postgres.server = postgres.uri()
    with small_session() as session:
        session.wait = 0.5
        yield lambda **fields: Table(Postgres(), tmp_path, session, DatasetSpec(name="d", **fields))


@pytest.fixture
def database(postgres, tmp_path) -> Iterator[psycopg.Connection[Any]]:
    """As anybody sees it."""
    Postgres.server = postgres.uri()
    with psycopg.connect(Postgres().uri(tmp_path), autocommit=True) as connection:
        yield connection


def facts(database: psycopg.Connection[Any]) -> dict[str, Any]:
    """All that a table has beside its rows."""
    queries = {
        "indexes": "SELECT indexdef FROM pg_indexes WHERE tablename = 'd' ORDER BY 1",
        "constraints": "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = 'd'::regclass ORDER BY 1",
        "grants": "SELECT grantee::regrole::text, privilege_type, is_grantable "
        "FROM pg_class, aclexplode(relacl) WHERE oid = 'd'::regclass ORDER BY 1, 2",
        "comments": "SELECT objsubid, description FROM pg_description "
        "WHERE objoid IN ('d'::regclass, 'by_name'::regclass) ORDER BY 1, 2",
        "columns": "SELECT attname, atttypid, attgenerated, pg_get_expr(adbin, adrelid) "
        "FROM pg_attribute LEFT JOIN pg_attrdef ON attrelid = adrelid AND attnum = adnum "
        "WHERE attrelid = 'd'::regclass AND attnum > 0 ORDER BY attnum",
        "owner": "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'd'::regclass",
    }
    return {name: database.execute(sql).fetchall() for name, sql in queries.items()}


@pytest.fixture
def made_by_hand(database, table):
    """A table with all that can be had, loaded once."""
    database.execute(MADE_BY_HAND)
    yield table(write="replace", adopt=True)
    database.execute("DROP OWNED BY reader_of_d; DROP ROLE reader_of_d")


def test_a_replace_keeps_indexes_keys_grants_and_comments(made_by_hand, database):
    before = facts(database)
    for seen in (1, 2):
        made_by_hand.load({"a": [row(seen, seen=seen)]})
    assert database.execute("SELECT id, twice FROM d").fetchall() == [(2, 4)]
    assert facts(database) == before
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute("INSERT INTO d VALUES (2)")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("CREATE VIEW of_d AS SELECT id FROM d", "view of_d depends on it"),
        ("CREATE TABLE other (d bigint REFERENCES d DEFERRABLE)", "other"),
        ("CREATE PUBLICATION everything FOR ALL TABLES", "publication everything has it"),
    ],
)
def test_what_depends_on_a_table_makes_a_replace_exchange_its_rows(
    made, said, made_by_hand, database, caplog
):
    made_by_hand.load({"a": [row(1)]})
    database.execute(made)
    before, oid = facts(database), database.execute("SELECT 'd'::regclass::oid").fetchone()
    with caplog.at_level(logging.INFO):
        made_by_hand.load({"a": [row(2)]})
    assert said in caplog.text
    assert database.execute("SELECT id FROM d").fetchall() == [(2,)]
    assert facts(database) == before
    assert database.execute("SELECT 'd'::regclass::oid").fetchone() == oid


def test_readers_of_a_replaced_table_see_all_of_it(table, database, postgres, tmp_path):
    """Also those whose snapshot is older than the new contents."""
    it = table(write="replace")
    it.load({"a": [row(1), row(2)]})
    with psycopg.connect(Postgres().uri(tmp_path)) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1 FROM pg_class LIMIT 1")
        it.load({"a": [row(3)]})
        assert reader.execute("SELECT id FROM d").fetchall() in ([(3,)], [(1,), (2,)])


def test_a_merge_finds_rows_by_a_primary_key_that_it_makes(table, database):
    table(write="merge", key=("id", "name")).load({"a": [row(1)]})
    indexes = database.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'd'").fetchall()
    assert indexes == [("CREATE UNIQUE INDEX d_pkey ON public.d USING btree (id, name)",)]


def test_versions_are_kept_unique(table, database):
    it = table(write="scd2", key="id")
    it.load({"a": [row(1)]})
    changed = make_load(it.dataset, it.state, {"b": [row(1, "b")]})
    it.destination.commit(replace(changed, moment=datetime.now(UTC)))
    found = database.execute("SELECT name, valid_to IS NULL FROM d ORDER BY valid_from").fetchall()
    assert found == [("a", False), ("b", True)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute("INSERT INTO d (id, valid_from) VALUES (1, now())")


def test_rows_of_a_table_that_is_adopted_stay(table, database):
    database.execute("CREATE TABLE d (id integer, name varchar(3), extra text DEFAULT 'e')")
    database.execute("INSERT INTO d VALUES (1, 'old'), (2, 'two')")
    it = table(write="merge", key="id", adopt=True)
    schema = TableSchema.of(id="BIGINT", name="VARCHAR")
    counts = it.counts({"a": [{"id": 1, "name": "new"}, {"id": 3, "name": "x"}]}, schema)
    assert counts == Accounting(read=2, updated=1, inserted=1)
    assert it.holds(
        *({"id": 1, "name": "new", "extra": "e"}, {"id": 2, "name": "two", "extra": "e"}),
        {"id": 3, "name": "x", "extra": "e"},
    )


@pytest.mark.parametrize("given", [{"id": 2**40, "name": "x"}, {"id": 1, "name": "long"}])
def test_a_value_that_an_adopted_table_would_change_is_refused(given, table, database):
    database.execute("CREATE TABLE d (id integer, name varchar(3))")
    with pytest.raises(DataError, match=r"out of range|column name is character varying\(3\)"):
        table(adopt=True).load({"a": [given]}, TableSchema.of(id="BIGINT", name="VARCHAR"))
    assert database.execute("SELECT * FROM d").fetchall() == []


def test_columns_that_differ_only_in_case_are_refused(table, database):
    database.execute("CREATE TABLE d (id integer)")
    with pytest.raises(SchemaError, match="column id and the source's ID differ only in case"):
        table(adopt=True).load({"a": [{"ID": 1}]}, TableSchema.of(ID="INTEGER"))


def test_a_table_made_by_hand_is_left_alone(table, database):
    database.execute("CREATE TABLE d (id integer)")
    with pytest.raises(ConfigError, match="was not made by a pipeline"):
        table().load({"a": [row(1)]})


def test_keys_are_found_in_whatever_case_they_are_written(table):
    it = table(write="merge", key="ID", cursor="SEEN", deleted_when="gone")
    it.load({"a": [row(1, seen=2), row(2)]})
    counts = it.counts({"b": [row(1, "b", 1), row(2, "b", 3, gone=True)]})
    assert counts == Accounting(read=2, superseded=1, deleted=1)


def test_text_cursors_are_compared_byte_by_byte(table, database):
    """Whatever the collation of the database says."""
    it = table(write="merge", key="id", cursor="name")
    it.load({"a": [row(1, "a")]})
    assert it.counts({"b": [row(1, "B")]}) == Accounting(read=1, superseded=1)


def test_sql_of_the_user_runs_in_the_transaction(table, database):
    before = "CREATE TABLE audit (n bigint); INSERT INTO audit VALUES (1)"
    after = "INSERT INTO audit SELECT count(*) FROM d"
    table(before=before, after=after).load({"a": [row(1), row(2)]})
    assert database.execute("SELECT n FROM audit ORDER BY n").fetchall() == [(1,), (2,)]


@pytest.mark.parametrize("sql", ["COMMIT", "COMMIT; BEGIN", "SELECT nonsense"])
def test_sql_of_the_user_that_breaks_the_transaction_changes_nothing(sql, table, database):
    with pytest.raises(ConfigError):
        table(after=sql).load({"a": [row(1)]})
    assert table().state.version == 0


def test_a_load_that_waits_in_vain_says_who_holds_the_table(table, database):
    it = table(write="merge", key="id")
    it.load({"a": [row(1)]})
    database.execute("SET application_name = 'a report'")
    with database.transaction():
        database.execute("LOCK TABLE d IN ROW EXCLUSIVE MODE")
        pid = database.info.backend_pid
        with pytest.raises(BusyError, match=rf"held by process {pid} of the server \(a report\)"):
            it.load({"b": [row(2)]})
    it.load({"b": [row(2)]})


def test_an_interrupt_ends_what_the_server_does(table, database):
    it = table(write="merge", key="id")
    it.load({"a": [row(1)]})
    it.session.wait = 60
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'd'::regclass"
    with database.transaction(), ThreadPoolExecutor(1) as pool:
        database.execute("LOCK TABLE d IN ROW EXCLUSIVE MODE")
        load = pool.submit(it.load, {"b": [row(2)]})
        while database.execute(waiting).fetchone() is None:
            time.sleep(0.01)
        it.session.interrupt()
        with pytest.raises(duckdb.InterruptException):
            load.result()
    assert it.state.version == 1


def test_first_loads_of_two_tables_at_once_make_one_ledger(table, database):
    """Both find none."""
    its = [table(into=name) for name in ("one", "two", "three")]
    loads = [(it, make_load(it.dataset, it.state, {"a": [row(1)]})) for it in its]
    threads = [threading.Thread(target=it.destination.commit, args=(load,)) for it, load in loads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [it.state.version for it in its] == [1, 1, 1]


def test_the_planner_knows_a_loaded_table(table, database):
    table().load({"a": [row(n) for n in range(50)]})
    assert database.execute("SELECT reltuples FROM pg_class WHERE relname = 'd'").fetchone() == (
        50,
    )


def test_a_refresh_with_another_key_and_mode_works(table, database):
    table(write="merge", key="id").load({"a": [row(1)]})
    table(write="merge", key="name").load({"a": [row(1, "a"), row(1, "b")]}, refresh=True)
    it = table(write="scd2", key="id")
    it.load({"a": [row(1), row(2)]}, refresh=True)
    assert database.execute("SELECT count(*), max(valid_to) FROM d").fetchone() == (2, None)
    table().load({"a": [row(1), row(1)]}, refresh=True)
    assert database.execute("SELECT count(*), min(name) FROM d").fetchone() == (2, "a")


def test_types_that_only_look_widened_stay(table, database):
    """PostgreSQL has no unsigned numbers."""
    it = table()
    it.load({"a": [{"n": 255}]}, TableSchema.of(n="UTINYINT"))
    it.load({"b": [{"n": -1}]}, TableSchema.of(n="SMALLINT"))
    it.load({"c": [{"n": 2**70}]}, TableSchema.of(n="HUGEINT"))
    assert sorted(r["n"] for r in it.rows) == [-1, 255, 2**70]


def test_a_load_that_is_counted_when_it_is_written(table):
    """It has no raw zone, and comes as a stream, once."""
    import pyarrow as pa

    from prefect_etl.core.rows import ArrowRows

    it = table(write="merge", key="id")
    load = make_load(it.dataset, it.state, {"a": []})
    rows = pa.Table.from_pylist([row(1), row(2), row(2, "b")])
    select = "SELECT *, CAST(1 AS BIGINT) AS _etl_unit_id, CAST(1 AS BIGINT) AS _etl_row"
    streamed = replace(
        load,
        rows=f"{select} FROM _etl_stream",
        stream=ArrowRows(rows.to_reader()),
        counted=lambda: 5,
    )
    (counts,) = it.destination.commit(streamed).counts.values()
    assert counts == Accounting(read=5, inserted=2, superseded=1, filtered=2)


@pytest.fixture
def as_role(database, tmp_path):
    """A destination as a user with no more than some rights of a database."""
    database.execute("CREATE ROLE loader LOGIN PASSWORD 'loader'")
    uri = urlsplit(Postgres().uri(tmp_path))
    uri = uri._replace(netloc=f"loader:loader@{uri.hostname}:{uri.port}")
    with small_session() as session:
        connection = PostgresConnection.from_uri(uri.geturl(), tmp_path)
        yield PostgresDestination(connection, session)
    database.execute("REASSIGN OWNED BY loader TO CURRENT_USER; DROP OWNED BY loader")
    database.execute("DROP ROLE loader")


def test_a_user_without_privileges_of_a_superuser_can_load(as_role, database):
    database.execute("GRANT CREATE ON SCHEMA public TO loader")
    database.execute(f"GRANT CREATE ON DATABASE {database.info.dbname} TO loader")
    for write in ("append", "replace", "merge", "scd2"):
        dataset = DatasetSpec(name=write, write=write, key="id" if write in "merge scd2" else ())
        for position in "ab":
            load = make_load(dataset, as_role.state(dataset), {position: [row(1)]})
            as_role.commit(load)
        assert as_role.state(dataset).version == 2


def test_a_table_of_another_owner_keeps_its_owner(as_role, database):
    """Its rows are exchanged in place."""
    database.execute("CREATE TABLE d (id bigint); GRANT ALL ON d TO loader")
    database.execute(f"GRANT CREATE ON DATABASE {database.info.dbname} TO loader")
    dataset = DatasetSpec(name="d", write="replace", adopt=True)
    load = make_load(
        dataset, as_role.state(dataset), {"a": [{"id": 1}]}, TableSchema.of(id="BIGINT")
    )
    as_role.commit(load)
    assert database.execute("SELECT id FROM d").fetchall() == [(1,)]


def test_a_user_who_may_not_create_tables_is_told(as_role, database):
    database.execute(f"GRANT CREATE ON DATABASE {database.info.dbname} TO loader")
    with pytest.raises(AccessError, match="permission denied for schema public"):
        as_role.commit(make_load(DatasetSpec(name="d"), LedgerState(), {"a": [row(1)]}))


def test_a_database_that_is_read_only_is_named_so(as_role, database):
    database.execute(
        f"ALTER DATABASE {database.info.dbname} SET default_transaction_read_only = on"
    )
    with pytest.raises(ConfigError, match="is read-only"):
        as_role.commit(make_load(DatasetSpec(name="d"), LedgerState(), {"a": [row(1)]}))
