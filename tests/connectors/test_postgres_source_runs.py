"""From PostgreSQL into a warehouse, run after run: nothing lost, nothing doubled."""

from __future__ import annotations

import psycopg
import pytest

from prefect_etl.core.unit import Unit
from prefect_etl.pipeline.extract import extract_batch
from prefect_etl.pipeline.planner import plan_dataset
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace
from prefect_etl.storage.parquet import write_parquet


@pytest.fixture
def execute(pg_uri):
    with psycopg.connect(pg_uri, autocommit=True) as connection:
        yield connection.execute


@pytest.fixture
def opened(tmp_path, pg_uri):
    """Opens the pipeline of one dataset as a new process would."""

    def opened(**fields):
        spec = pipeline_from(
            name="p",
            destination="duckdb:///warehouse.duckdb",
            sources={"s": {"connection": pg_uri, "datasets": {"d": {"table": "t", **fields}}}},
            root=tmp_path,
        )
        return open_workspace(spec, Options(memory_limit="200MB"))

    return opened


@pytest.fixture
def run(opened, tmp_path):
    """Runs it; gives the report and what the table holds then."""

    def run(select="id, n", **fields):
        with opened(**fields) as workspace:
            (report,) = run_pipeline(workspace).datasets
            if report.status == "failed":
                return report, []
            with workspace.session.attached(
                tmp_path / "warehouse.duckdb", read_only=True
            ) as cursor:
                return report, sorted(cursor.execute(f"SELECT {select} FROM d").fetchall())

    return run


def numbers(*values):
    return [(value, value) for value in values]


MERGED = {"write": "merge", "key": "id"}
THOUSAND = (
    "CREATE TABLE t AS SELECT id, id AS n FROM generate_series(1, 1000) id;"
    "ALTER TABLE t ADD PRIMARY KEY (id); ANALYZE t"
)


def test_an_append_takes_what_is_new_and_doubles_no_tie(run, execute):
    execute("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (2, 2)")
    run(cursor="n")
    report, _ = run(cursor="n")
    assert report.status == "unchanged"
    execute("INSERT INTO t VALUES (3, 2), (4, 3)")
    report, rows = run(cursor="n")
    assert rows == [(1, 1), (2, 2), (3, 2), (4, 3)]
    assert (report.counts.inserted, report.counts.replaced) == (3, 1)


def test_a_merge_takes_rows_that_come_late(run, execute):
    execute("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 10)")
    fields = {**MERGED, "cursor": {"column": "n", "lag": 5}}
    run(**fields)
    execute("INSERT INTO t VALUES (2, 6), (3, 4)")
    assert run(**fields)[1] == [(1, 10), (2, 6)]
    assert run(**fields)[0].status == "unchanged"


def test_a_first_load_goes_on_where_it_was_killed(opened, run, execute):
    execute(THOUSAND)
    fields = {**MERGED, "cursor": "n", "chunk_rows": 300}
    with opened(**fields) as workspace:
        plan = plan_dataset(workspace, "d")
        assert len(plan.batches) == 4
        for batch in plan.batches[1:3]:
            extract_batch(workspace, plan, batch)
    execute("INSERT INTO t VALUES (1001, 1001); DELETE FROM t WHERE id = 400")
    report, rows = run(**fields)
    assert report.reused == 2
    assert "goes on with 2 of 4 batches" in report.reason
    assert rows == numbers(*range(1, 1002))


def test_a_whole_table_without_a_key_is_read_anew_after_a_kill(opened, run, execute):
    execute("CREATE TABLE t AS SELECT id, id AS n FROM generate_series(1, 1000) id; ANALYZE t")
    fields = {"write": "replace", "chunk_rows": 300}
    with opened(**fields) as workspace:
        plan = plan_dataset(workspace, "d")
        extract_batch(workspace, plan, plan.batches[0])
    execute("UPDATE t SET n = -n")
    _, rows = run(**fields)
    assert rows == [(n, -n) for n in range(1, 1001)]


def test_keys_that_a_whole_table_lost_are_deleted_if_asked(run, execute):
    execute(THOUSAND)
    fields = {**MERGED, "missing": "delete", "chunk_rows": 300}
    run(**fields)
    execute("DELETE FROM t WHERE id > 3")
    report, rows = run(**fields)
    assert rows == numbers(1, 2, 3)
    assert report.counts.missing == 997


def test_changes_of_a_table_without_a_cursor(run, execute):
    execute("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (2, 1)")
    fields = {**MERGED, "cursor": "xmin"}
    run(**fields)
    assert run(**fields)[0].status == "unchanged"
    execute("UPDATE t SET n = 2 WHERE id = 2")
    report, rows = run(**fields)
    assert rows == [(1, 1), (2, 2)]
    assert (report.counts.read, report.counts.updated) == (1, 1)


def test_rows_without_a_cursor_that_are_gone_are_deleted_if_asked(run, execute):
    execute("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (2, 1), (3, 1)")
    fields = {**MERGED, "cursor": "xmin", "missing": "delete"}
    run(**fields)
    execute("DELETE FROM t WHERE id = 1; UPDATE t SET n = 2 WHERE id = 2")
    report, rows = run(**fields)
    assert rows == [(2, 2), (3, 1)]
    assert (report.counts.read, report.counts.missing) == (1, 1)
    execute("DELETE FROM t WHERE id = 3")
    assert run(**fields)[1] == [(2, 2)]


def test_versions_of_rows_without_a_cursor(run, execute):
    execute("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1)")
    fields = {"write": "scd2", "key": "id", "cursor": "xmin"}
    run(**fields)
    execute("UPDATE t SET n = 2")
    _, rows = run("n, valid_to IS NULL", **fields)
    assert rows == [(1, False), (2, True)]


def test_a_type_that_changed_is_an_error_that_shows_both(run, execute):
    execute("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1)")
    run(**MERGED)
    execute("ALTER TABLE t ALTER n TYPE text USING 'x'")
    report, _ = run(**MERGED)
    assert report.reason.startswith("d: the schema changed: column n is INTEGER and would be VARCH")
    assert "types: {column: type}" in report.hint


def test_a_secret_column_does_not_even_reach_the_raw_zone(run, execute, tmp_path):
    execute("CREATE TABLE t AS SELECT 1 AS id, 1 AS n, 'canary-7f3a' AS secret")
    assert run(write="merge", key="id", columns={"drop": "secret"})[1] == [(1, 1)]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"canary-7f3a" not in path.read_bytes()


def test_rows_of_five_megabytes_fit_into_a_small_memory(opened, execute, tmp_path):
    wide = "SELECT id, repeat(md5(id::text), 160000) FROM generate_series(1, 40) id"
    execute(f"CREATE TABLE t AS {wide}")
    with opened(write="replace") as workspace:
        source = workspace.source(workspace.dataset("d"))
        plan = plan_dataset(workspace, "d")
        with source.read(plan.batches[0]) as rows:
            written = write_parquet(
                workspace.session, rows, tmp_path / "wide.parquet", [Unit("t", "1")]
            )
    assert written.units[0].rows == 40


def test_a_report_tells_also_what_the_load_that_went_on_put_aside(opened, run, execute):
    execute(THOUSAND)
    contract = {"columns": {"n": {"ge": 10}}}
    fields = {**MERGED, "cursor": "n", "chunk_rows": 300, "contract": contract}
    with opened(**fields) as workspace:
        plan = plan_dataset(workspace, "d")
        extract_batch(workspace, plan, plan.batches[0])
    execute("INSERT INTO t VALUES (1001, 1001)")
    report, _ = run(**fields)
    assert report.counts.quarantined == 9
    assert [(rule.rule, rule.rows) for rule in report.rules] == [("n.ge", 9)]
    assert report.quarantine is not None
