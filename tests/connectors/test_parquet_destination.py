"""Folders of Parquet tables, beside what the conformance suite says of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow.dataset
import pytest

from prefect_etl.connectors.parquet import ParquetConnection, ParquetDestination
from prefect_etl.connectors.parquet.connection import described
from prefect_etl.connectors.parquet.layout import TableFolder
from prefect_etl.connectors.registry import connector_for
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.schema import TableSchema
from prefect_etl.errors import (
    BusyError,
    ConfigError,
    DataError,
    SchemaError,
    StorageError,
    VersionConflict,
)
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.testing.destination import compare_with_reference
from prefect_etl.testing.exercise import small_session
from prefect_etl.testing.exercises import exercises_for
from prefect_etl.testing.loads import Table, make_load, row
from prefect_etl.testing.random_loads import RandomLoads


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Any]:
    """Makes tables of a lake."""
    (exercise,) = exercises_for(connector_for("parquet:"))
    with small_session() as session:
        yield lambda **fields: Table(exercise, tmp_path, session, DatasetSpec(name="d", **fields))


def files(table: Table) -> dict[str, int]:
    """The files of the version that holds, and which file of the disk each of them is."""
    folder = (table.folder / "lake/d").resolve()
    return {
        path.relative_to(folder).as_posix(): path.stat().st_ino
        for path in folder.rglob("*.parquet")
    }


def versions(table: Table) -> list[str]:
    """What lies beside the versions of a table."""
    return sorted(path.name for path in (table.folder / "lake/.versions/d").iterdir())


def hive(table: Table) -> list[tuple[Any, ...]]:
    """What an engine that knows Hive's partitions reads."""
    link = table.folder / "lake/d/**/*.parquet"
    return sorted(
        duckdb.sql(
            f"SELECT id, name, seen FROM read_parquet('{link}', hive_partitioning = true)"
        ).fetchall()
    )


def test_an_append_leaves_the_files_as_they_are(table):
    made = table()
    made.load({"a": [row(1)]})
    before = files(made)
    made.load({"b": [row(2)]})
    assert before.items() < files(made).items()


def test_a_merge_rewrites_only_the_files_of_rows_that_change(table):
    made = table(write="merge", key="id")
    made.load({"a": [row(1), row(2)]})
    (first,) = files(made)
    made.load({"b": [row(3)]})
    made.load({"c": [row(3, "new"), row(1)]})
    assert first in files(made)
    assert made.holds(row(1), row(2), row(3, "new"))


def test_a_changed_unit_in_one_partition_leaves_the_others(table):
    made = table(partition_by="name")
    made.load({"a": [row(1, "x"), row(2, "x")], "b": [row(3, "y")]})
    before = files(made)
    made.load({_changed("b"): [row(4, "y"), row(5, "z")]})
    kept = {path for path, inode in files(made).items() if before.get(path) == inode}
    assert {path.partition("/")[0] for path in kept} == {"name=x"}
    assert hive(made) == [(1, "x", 1), (2, "x", 1), (4, "y", 1), (5, "z", 1)]


def _changed(position: str) -> Any:
    from prefect_etl.core.unit import Unit

    return Unit(position, "2")


def test_partitions_are_those_of_hive(table):
    made = table(partition_by=["gone", "name"], write="merge", key="id")
    made.load({"a": [row(1, "a b"), row(2, None), row(3, "x/y", gone=True), row(4, "Ærø")]})
    made.load({"b": [row(1, "moved"), row(4, "Ærø", 2)]})
    assert hive(made) == [(1, "moved", 1), (2, None, 1), (3, "x/y", 1), (4, "Ærø", 2)]
    found = pyarrow.dataset.dataset(made.folder / "lake/d", partitioning="hive").to_table()
    assert sorted(found["id"].to_pylist()) == [1, 2, 3, 4]
    assert not any(path.startswith("gone=false/name=a") for path in files(made))


def test_a_value_that_a_folder_cannot_say_is_refused(table):
    made = table(partition_by="name")
    for value in ("", "NULL", "__HIVE_DEFAULT_PARTITION__"):
        with pytest.raises(DataError, match="column name has a value"):
            made.load({"a": [row(1, value)]})
    assert made.state.version == 0


@pytest.mark.parametrize(("column", "kind"), [("f", "DOUBLE"), ("a b", "BIGINT"), ("no", "BIGINT")])
def test_columns_that_cannot_be_partitions_are_refused(table, column, kind):
    made = table(partition_by=column)
    schema = TableSchema.of(**{"x" if column == "no" else column: kind, "id": "BIGINT"})
    with pytest.raises(ConfigError, match=r"partition_by: .*(f|a b|no)"):
        made.load({"a": [{"id": 1}]}, schema)


@pytest.mark.parametrize("seed", range(8))
def test_random_loads_into_partitions_agree_with_the_reference(seed, tmp_path, monkeypatch):
    made = RandomLoads.of

    def partitioned(random: Random, name: str) -> RandomLoads:
        loads = made(random, name)
        by = random.choice(["name", ("name", "id")])
        return replace(loads, dataset=DatasetSpec(**{**dict(loads.dataset), "partition_by": by}))

    monkeypatch.setattr(RandomLoads, "of", partitioned)
    (exercise,) = exercises_for(connector_for("parquet:"))
    with small_session() as session:
        compare_with_reference(exercise, tmp_path, session, seed)


def test_other_partitions_are_written_anew(table):
    made = table(partition_by="name")
    made.load({"a": [row(1, "x"), row(2, "y")]})
    other = replace(made, dataset=DatasetSpec(name="d", partition_by="seen"))
    other.load({"b": [row(3, "x", 2)]})
    assert {path.partition("/")[0] for path in files(other)} == {"seen=1", "seen=2"}
    assert hive(other) == [(1, "x", 1), (2, "y", 1), (3, "x", 2)]


def test_a_merge_of_rows_that_keep_their_order(table):
    made = table(write="merge", key="id")
    made.session.query("SET preserve_insertion_order = true")  # as a copy with a key does
    made.load({"a": [row(1, "x"), row(1, "y")]})
    assert made.holds(row(1, "y"))


def test_many_small_files_are_joined(table):
    made = table()
    for number in range(20):
        made.load({f"{number}": [row(number)]})
    assert len(files(made)) < 10
    assert made.holds(*(row(number) for number in range(20)))


def test_a_destination_without_partitions_says_so(tmp_path):
    with pytest.raises(ConfigError, match="duckdb has no partitions; remove partition_by"):
        pipeline_from(
            name="p",
            destination="duckdb:///w.duckdb",
            sources={
                "s": {
                    "connection": "file://.",
                    "datasets": {"t": {"path": "a.csv", "partition_by": "x"}},
                }
            },
            root=tmp_path,
        )


def test_an_empty_table_tells_its_columns(table):
    made = table(write="replace", partition_by="name")
    made.load({"a": [row(1)]})
    made.load({"b": []})
    found = duckdb.sql(f"FROM read_parquet('{made.folder}/lake/d/*.parquet')")
    assert (found.columns, found.fetchall()) == (["id", "name", "seen", "gone"], [])
    made.load({"c": [row(2)]})
    assert hive(made) == [(2, "a", 1)]


def test_types_that_parquet_does_not_know_are_written_in_another_way(table):
    made = table(write="merge", key="h")
    schema = TableSchema.of(h="HUGEINT", i="INTERVAL", z="TIME WITH TIME ZONE", s="TIMESTAMP_S")
    given = {"h": 2**100, "i": "1 month 2 days 00:00:00.000003", "z": "01:02:03+05:30"}
    given["s"] = "2026-01-02 03:04:05"
    made.load({"a": [given]}, schema)
    assert made.counts({"b": [given]}, schema) == Accounting(read=1, unchanged=1)
    found = duckdb.sql(f"DESCRIBE FROM read_parquet('{made.folder}/lake/d/*.parquet')").fetchall()
    assert [kind for _, kind, *_ in found] == ["DECIMAL(38,0)", "VARCHAR", "VARCHAR", "TIMESTAMP"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("UNION(n INTEGER, s VARCHAR)", None), ("HUGEINT", 2**127 - 1)],
)
def test_what_cannot_be_written_exactly_is_refused(table, kind, value):
    made = table()
    with pytest.raises(SchemaError):
        made.load({"a": [{"x": value}]}, TableSchema.of(x=kind))
    assert made.state.version == 0


@pytest.mark.parametrize("adopt", [False, True])
def test_a_folder_that_no_pipeline_made_is_left_alone(table, adopt):
    made = table(adopt=adopt)
    (made.folder / "lake/d").mkdir(parents=True)
    with pytest.raises(ConfigError, match="was not made by a pipeline"):
        made.load({"a": [row(1)]})


@pytest.mark.parametrize("fields", [{"before": "SELECT 1"}, {"after": "x"}])
def test_what_a_folder_cannot_do_is_refused_before_anything_is_read(table, fields):
    made = table(**fields)
    with pytest.raises(ConfigError):
        made.destination.state(made.dataset)


def test_a_schema_cannot_be_in_a_table(table):
    table().load({"a": [row(1)]})
    with pytest.raises(ConfigError, match="is a table, and cannot be a schema"):
        table(schema="d").load({"a": [row(1)]})


def test_a_replaced_version_stays_for_its_readers(table, tmp_path):
    made = table(write="replace")
    made.load({"a": [row(1)]})
    old = (made.folder / "lake/d").resolve()
    made.load({"b": [row(2)]})
    assert duckdb.sql(f"SELECT id FROM '{old}/*.parquet'").fetchall() == [(1,)]
    long_ago = time.time() - 7200
    os.utime(old, (long_ago, long_ago))
    made.load({"c": [row(3)]})
    assert not old.exists()


def test_readers_see_one_version_or_another(table):
    """Also those that list the files of one and open them when another holds."""
    made = table(write="replace")
    made.load({"a": [row(1, "0"), row(2, "0")]})
    listed = list((made.folder / "lake/d").glob("*.parquet"))
    made.load({"a": [row(1, "1"), row(2, "1")]})
    assert not any(path.exists() for path in listed)


def test_a_load_that_failed_leaves_nothing(table):
    made = table()
    made.load({"a": [row(1)]})
    before = versions(made)
    load = make_load(made.dataset, made.state, {"b": [row(2)]})
    with pytest.raises(StorageError):
        made.destination.commit(replace(load, rows="SELECT * FROM 'nowhere.parquet'"))
    assert versions(made) == before


def test_a_process_that_wakes_after_another_loaded_changes_nothing(table):
    made = table()
    made.load({"a": [row(1)]})
    late = make_load(made.dataset, made.state, {"b": [row(2)]})
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(_outcome(made, late))
    os.waitpid(child, os.WUNTRACED)
    made.load({"c": [row(3)]})
    os.kill(child, signal.SIGCONT)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert made.holds(row(1), row(3))


def _outcome(made: Table, load: Any) -> int:
    try:
        with small_session() as session:
            replace(made, session=session).destination.commit(load)
    except VersionConflict:
        return 7
    except BaseException:  # noqa: BLE001 - whatever it is, it is not what was to come
        return 1
    return 0


def test_who_waits_too_long_for_another_process_is_told(table):
    made = table()
    made.load({"a": [row(1)]})
    folder = TableFolder.of(made.folder / "lake", "", "d")
    made.session.wait = 0.1
    with folder.locked(1), pytest.raises(BusyError, match="is held by another process"):
        made.load({"b": [row(2)]})


@pytest.mark.parametrize(
    "uri", ["parquet://", "parquet:///lake?kept=1 hour", "parquet:///x?keep=1"]
)
def test_wrong_uris_are_refused(uri):
    with pytest.raises(ConfigError):
        ParquetConnection.from_uri(uri, Path("/"))


def test_a_damaged_ledger_is_told(table):
    made = table()
    made.load({"a": [row(1)]})
    (made.folder / "lake/d/_ledger.json").write_text("{")
    with pytest.raises(StorageError, match="cannot be read"):
        ParquetDestination(ParquetConnection(path=made.folder / "lake"), made.session).state(
            made.dataset
        )


def test_a_connection_tells_what_is_there(table, tmp_path):
    connection = ParquetConnection(path=tmp_path / "lake")
    assert described(connection).endswith("lake, to be made by the first load")
    table().load({"a": [row(1)]})
    table(schema="s").load({"a": [row(1)]})
    assert described(connection).endswith("lake, 2 tables")
