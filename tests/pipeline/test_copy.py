"""Copies between files and DuckDB: one pass, one transaction, exactly once."""

import io
import os
from dataclasses import replace

import duckdb
import pyarrow as pa
import pytest

from prefect_etl.connectors.duckdb import DuckDBDestination
from prefect_etl.connectors.memory.connector import store
from prefect_etl.errors import (
    AccountingError,
    ConfigError,
    DataError,
    SchemaError,
    SourceChangedError,
    SourceReadError,
    VersionConflict,
)
from prefect_etl.pipeline.copying import Means, Request, copy, copy_all, plan, prepared, working

WAREHOUSE = "duckdb:///w.duckdb"


@pytest.fixture
def put(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def copied(tmp_path):
    def run(source="orders.csv", destination=WAREHOUSE, **more):
        return copy(Request(source, destination, **more), Means(root=tmp_path))

    return run


@pytest.fixture
def rows(tmp_path):
    def fetch(query, file="w.duckdb"):
        with duckdb.connect(str(tmp_path / file), read_only=True) as connection:
            return connection.execute(query).fetchall()

    return fetch


ORDERS = "id,name,amount\n1,ann,2.5\n2,bob,3\n"


def test_a_file_becomes_a_table_of_its_name(put, copied, rows):
    put("orders.csv", ORDERS)
    report = copied()
    assert (report.table, report.counts.inserted) == ("main.orders", 2)
    assert rows("SELECT * FROM orders ORDER BY id") == [(1, "ann", 2.5), (2, "bob", 3.0)]


def test_without_a_mode_the_table_must_be_new(put, copied):
    put("orders.csv", ORDERS)
    copied()
    with pytest.raises(ConfigError, match=r"main\.orders exists"):
        copied()


def test_without_a_mode_a_table_of_somebody_else_stays(put, copied, rows, tmp_path):
    put("orders.csv", ORDERS)
    duckdb.connect(str(tmp_path / "w.duckdb")).execute("CREATE TABLE orders (mine int)").close()
    with pytest.raises(ConfigError) as caught:
        copied()
    assert "--mode" in caught.value.hint
    assert rows("SELECT * FROM orders") == []


def test_append_goes_into_a_table_that_was_made_by_hand(put, copied, rows, tmp_path):
    put("orders.csv", ORDERS)
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("CREATE TABLE orders (id bigint, name varchar, amount double)")
        connection.execute("INSERT INTO orders VALUES (0, 'old', 1)")
    copied(mode="append")
    assert rows("SELECT count(*) FROM orders") == [(3,)]


def test_a_file_is_appended_once(put, copied, rows):
    put("orders.csv", ORDERS)
    copied(mode="append")
    assert copied(mode="append").status == "unchanged"
    assert rows("SELECT count(*) FROM orders") == [(2,)]


def test_of_a_glob_only_new_files_are_appended(put, copied, rows):
    put("in/a.csv", "id\n1\n")
    copied("in/*.csv", into="t", mode="append")
    put("in/b.csv", "id\n2\n3\n")
    assert copied("in/*.csv", into="t", mode="append").counts.inserted == 2
    assert copied("in/b.csv", into="t", mode="append").status == "unchanged"
    assert rows("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]


def test_a_file_that_changed_after_it_was_appended_is_refused(put, copied):
    put("orders.csv", ORDERS)
    copied(mode="append")
    os.utime(put("orders.csv", ORDERS + "3,cid,1\n"), (1, 1))
    with pytest.raises(ConfigError, match="would come twice"):
        copied(mode="append")


def test_a_key_merges_and_the_latest_row_counts(put, copied, rows):
    put("in/a.csv", "id,v\n1,a\n2,a\n2,b\n")
    put("in/b.csv", "id,v\n2,c\n3,c\n")
    report = copied("in/*.csv", into="t", key=("id",))
    assert (report.mode, report.counts.inserted, report.counts.superseded) == ("merge", 3, 2)
    assert rows("SELECT * FROM t ORDER BY id") == [(1, "a"), (2, "c"), (3, "c")]


def test_a_key_that_is_null_is_refused(put, copied, tmp_path):
    put("orders.csv", "id,v\n1,a\n,b\n")
    with pytest.raises(DataError, match="the key id is null"):
        copied(key=("id",))
    assert not (tmp_path / "w.duckdb").exists() or copied(key=("id",), where="id IS NOT NULL")


def test_scd2_keeps_versions(put, copied, rows):
    put("orders.csv", "id,v\n1,a\n")
    copied(key=("id",), mode="scd2")
    put("orders.csv", "id,v\n1,bb\n")
    assert copied(key=("id",), mode="scd2").counts.updated == 1
    assert rows("SELECT v, valid_to IS NULL FROM orders ORDER BY v") == [("a", False), ("bb", True)]


def test_replace_takes_the_columns_of_the_source(put, copied, rows):
    put("orders.csv", ORDERS)
    copied()
    put("orders.csv", "id,note\nx,y\n")
    copied(mode="replace")
    assert rows("SELECT * FROM orders") == [("x", "y")]


def test_a_condition_leaves_rows_out_and_counts_them(put, copied):
    put("orders.csv", ORDERS)
    counts = copied(where="id > 1").counts
    assert (counts.read, counts.inserted, counts.filtered) == (2, 1, 1)


def test_columns_are_chosen_and_put_in_order(put, copied, rows):
    put("orders.csv", ORDERS)
    copied(columns=("amount", "id"))
    assert rows("SELECT * FROM orders ORDER BY id LIMIT 1") == [(2.5, 1)]


@pytest.mark.parametrize(
    "wrong",
    [{"columns": ("id", "nmae")}, {"key": ("nmae",)}],
    ids=["columns", "key"],
)
def test_a_column_that_is_not_there_is_named(put, copied, tmp_path, wrong):
    put("orders.csv", ORDERS)
    with pytest.raises(SchemaError, match="has no column nmae; did you mean name"):
        copied(**wrong)
    assert not (tmp_path / "w.duckdb").exists()


def test_a_late_value_of_another_type_makes_the_column_text(put, copied, rows):
    put("orders.csv", "id\n" + "\n".join(map(str, range(30_000))) + "\nx\n")
    copied()
    assert rows("SELECT max(id) FROM orders") == [("x",)]


def test_tables_go_from_one_file_to_another(put, copied, rows):
    put("orders.csv", ORDERS)
    copied()
    copied(WAREHOUSE, "duckdb:///v.duckdb", table="orders", where="id = 1")
    assert rows("SELECT name FROM orders", "v.duckdb") == [("ann",)]


def test_both_files_may_have_one_name(put, copied, rows, tmp_path):
    put("orders.csv", ORDERS)
    copied()
    (tmp_path / "sub").mkdir()
    copied(WAREHOUSE, "duckdb:///sub/w.duckdb", table="orders")
    copied(WAREHOUSE, WAREHOUSE, table="orders", into="again")
    assert rows("SELECT count(*) FROM again") == rows("SELECT count(*) FROM orders", "sub/w.duckdb")


def test_an_append_with_a_cursor_goes_on_where_it_stopped(copied, rows, tmp_path):
    with duckdb.connect(str(tmp_path / "s.duckdb")) as source:
        source.execute("CREATE TABLE t AS SELECT range AS id FROM range(5)")
    how = {"table": "t", "cursor": "id"}
    assert copied("duckdb:///s.duckdb", **how).counts.inserted == 5
    assert copied("duckdb:///s.duckdb", **how).status == "unchanged"
    with duckdb.connect(str(tmp_path / "s.duckdb")) as source:
        source.execute("INSERT INTO t VALUES (4), (7)")
    copied("duckdb:///s.duckdb", **how)
    assert rows("SELECT id FROM t ORDER BY id") == [(0,), (1,), (2,), (3,), (4,), (4,), (7,)]


def test_a_replacement_with_a_cursor_is_a_beginning(copied, rows, tmp_path):
    with duckdb.connect(str(tmp_path / "s.duckdb")) as source:
        source.execute("CREATE TABLE t AS SELECT range AS id FROM range(5)")
    copied("duckdb:///s.duckdb", table="t", mode="replace")
    with pytest.raises(ConfigError, match="not known where to go on"):
        copied("duckdb:///s.duckdb", table="t", cursor="id")
    copied("duckdb:///s.duckdb", table="t", cursor="id", mode="replace")
    assert copied("duckdb:///s.duckdb", table="t", cursor="id").status == "unchanged"
    assert rows("SELECT count(*) FROM t") == [(5,)]


def test_a_merge_from_another_source_reads_all_of_it(copied, rows, tmp_path):
    for name, first in (("s", 10), ("o", 0)):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as source:
            source.execute(f"CREATE TABLE t AS SELECT range + {first} AS id FROM range(3)")
    how = {"table": "t", "cursor": "id", "key": ("id",)}
    copied("duckdb:///s.duckdb", **how)
    copied("duckdb:///o.duckdb", **how)
    assert rows("SELECT count(*) FROM t") == [(6,)]


def test_a_table_that_was_dropped_is_made_again(put, copied, rows, tmp_path):
    put("orders.csv", ORDERS)
    copied(mode="append")
    duckdb.connect(str(tmp_path / "w.duckdb")).execute("DROP TABLE orders").close()
    assert copied(mode="append").counts.inserted == 2


def test_streams_of_arrow_are_copied(copied, rows):
    store("shop of copies").put("t", pa.table({"id": [1, 2], "none": pa.nulls(2)}))
    assert copied("memory://shop of copies", table="t").counts.read == 2
    assert rows("SELECT * FROM t ORDER BY id") == [(1, None), (2, None)]


def test_standard_input_is_read_as_what_it_looks_like(tmp_path, rows):
    for number, text in enumerate((ORDERS, '{"id": 1}\n{"id": 2}\n', '[{"id": 1}, {"id": 2}]')):
        means = Means(root=tmp_path, stdin=io.BytesIO(text.encode()))
        copy(Request("-", WAREHOUSE, into=f"t{number}"), means)
        assert rows(f"SELECT count(*) FROM t{number}") == [(2,)]


def test_standard_input_is_appended_each_time(tmp_path, rows):
    for _ in range(2):
        means = Means(root=tmp_path, stdin=io.BytesIO(ORDERS.encode()))
        copy(Request("-", WAREHOUSE, into="t", mode="append"), means)
    assert rows("SELECT count(*) FROM t") == [(4,)]


@pytest.mark.parametrize("name", ["o.csv", "o.csv.gz", "o.jsonl", "o.json", "o.tsv", "o.parquet"])
def test_files_are_written_whole_and_read_back(put, copied, rows, tmp_path, name):
    put("orders.csv", ORDERS)
    copied("orders.csv", name)
    copied(name, into="back")
    assert rows("SELECT * FROM back ORDER BY id") == [(1, "ann", 2.5), (2, "bob", 3.0)]
    assert {path.name for path in tmp_path.iterdir()} == {"orders.csv", name, "w.duckdb"}


def test_a_file_that_is_truncated_is_not_published(copied, tmp_path):
    import gzip

    whole = gzip.compress(("id,v\n" + "".join(f"{n},{n}\n" for n in range(5000))).encode())
    (tmp_path / "orders.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceReadError, match="orders"):
        copied("orders.csv.gz")
    with pytest.raises(SourceReadError, match="orders"):
        copied("orders.csv.gz", "o.csv")
    assert not (tmp_path / "o.csv").exists()


def test_a_file_that_changes_while_it_is_read_is_not_published(put, rows, tmp_path, monkeypatch):
    put("orders.csv", ORDERS)
    commit = DuckDBDestination.commit

    def change(self, load):
        put("orders.csv", ORDERS + "3,cid,1\n")
        return commit(self, load)

    monkeypatch.setattr(DuckDBDestination, "commit", change)
    with pytest.raises(SourceChangedError):
        copy(Request("orders.csv", WAREHOUSE), Means(root=tmp_path))
    assert rows("SELECT * FROM duckdb_tables() WHERE table_name = 'orders'") == []


def test_who_loses_a_race_reads_again(put, copied, rows, monkeypatch):
    put("orders.csv", ORDERS)
    commit, turns = DuckDBDestination.commit, []

    def lose_once(self, load):
        turns.append(load)
        if len(turns) == 1:
            raise VersionConflict("another run was first")
        return commit(self, load)

    monkeypatch.setattr(DuckDBDestination, "commit", lose_once)
    assert copied().counts.inserted == 2


def test_rows_that_do_not_add_up_are_rolled_back(put, copied, rows, monkeypatch):
    put("orders.csv", ORDERS)
    commit = DuckDBDestination.commit

    def miscount(self, load):
        return commit(self, replace(load, counted=lambda: 1))

    monkeypatch.setattr(DuckDBDestination, "commit", miscount)
    with pytest.raises(AccountingError):
        copied()
    assert rows("SELECT * FROM duckdb_tables() WHERE table_name = 'orders'") == []


def test_a_plan_shows_the_new_table_and_later_what_changes(put, copied, tmp_path):
    def planned(request):
        with working(Means(root=tmp_path)) as work, prepared(request, work) as job:
            return plan(job)

    put("orders.csv", ORDERS)
    fresh = planned(Request("orders.csv", WAREHOUSE))
    assert fresh.columns.names == ("id", "name", "amount")
    assert fresh.changes is None
    assert not (tmp_path / "w.duckdb").exists()
    copied()
    put("more.csv", "id,name,amount,note\n5,e,1,n\n")
    more = planned(Request("more.csv", WAREHOUSE, into="orders", mode="append"))
    assert more.changes == ("column note VARCHAR added",)


def test_many_tables_are_copied_each_on_its_own(rows, tmp_path):
    with duckdb.connect(str(tmp_path / "s.duckdb")) as source:
        for name in ("a", "b", "left_out"):
            source.execute(f"CREATE TABLE {name} AS SELECT 1 AS id")
        source.execute("CREATE VIEW broken AS SELECT id FROM a")
        source.execute("ALTER TABLE a RENAME id TO other")
    request = Request("duckdb:///s.duckdb", WAREHOUSE, table="*", mode="replace")
    reports = copy_all(request, ["left_*"], Means(root=tmp_path))
    assert {r.source: r.status for r in reports} == {
        "main.a": "copied",
        "main.b": "copied",
        "main.broken": "failed",
    }
    assert rows("SELECT * FROM b") == [(1,)]


def test_a_file_that_is_trusted_is_read_in_this_process(copied, rows, tmp_path, monkeypatch):
    duckdb.execute(f"COPY (SELECT 1 AS id) TO '{tmp_path / 'a.parquet'}'")
    monkeypatch.setattr("prefect_etl.engine.confined.WORKER", tmp_path / "nowhere.py")
    assert copied("a.parquet", trusted=True).counts.inserted == 1
    assert rows("SELECT id FROM a") == [(1,)]


def test_a_database_cannot_be_trusted(copied):
    with pytest.raises(ConfigError, match="--trusted is for files"):
        copied(WAREHOUSE, "duckdb:///x.duckdb", table="t", trusted=True)
