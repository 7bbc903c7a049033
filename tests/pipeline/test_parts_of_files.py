"""A large Parquet file is extracted in parts, and is one file in every other respect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.connectors.files.parquet import parts
from prefect_etl.connectors.files.positions import file_of

if TYPE_CHECKING:
    from conftest import Project

GROUP = 2048  # DuckDB writes no smaller row groups


@pytest.fixture(autouse=True)
def parquet(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.dataset["path"] = "*.parquet"
    monkeypatch.setattr(parts, "PART_BYTES", 20_000)


def write(project: Project, groups: int, rows: str = "range AS id, hash(range) AS h") -> None:
    path = project.root / "made.parquet"
    duckdb.execute(
        f"COPY (SELECT {rows} FROM range({groups * GROUP})) TO '{path}' "
        f"(FORMAT parquet, ROW_GROUP_SIZE {GROUP}, COMPRESSION uncompressed)"
    )
    project.write("a.parquet", path.read_bytes())


def units(project: Project) -> list[tuple[Any, ...]]:
    query = "SELECT _etl_unit_id, count(*), min(id), max(id) FROM t GROUP BY ALL"
    return project.rows(query)


def ids(project: Project) -> Any:
    return project.rows("SELECT count(*), count(DISTINCT id), max(id) FROM t")[0]


@pytest.mark.parametrize("write_mode", ["append", "replace", "merge"])
def test_every_row_of_every_part_is_loaded_once(project: Project, write_mode: str) -> None:
    project.dataset["write"] = write_mode
    if write_mode == "merge":
        project.dataset["key"] = "id"
    write(project, 10)
    report = project.load()
    assert report.units > 3
    assert report.counts.read == report.counts.inserted == 10 * GROUP
    assert ids(project) == (10 * GROUP, 10 * GROUP, 10 * GROUP - 1)
    assert project.load().status == "unchanged"


def test_each_part_is_a_batch_of_its_own(project: Project) -> None:
    write(project, 10)
    batches = project.plan().batches
    assert [len(batch.units) for batch in batches] == [1] * len(batches)
    assert [b.units[0].position for b in batches[:2]] == ["a.parquet", "a.parquet//2"]


def test_a_small_file_stays_whole(project: Project) -> None:
    write(project, 1)
    assert [u.position for b in project.plan().batches for u in b.units] == ["a.parquet"]


def test_a_column_with_a_name_of_the_engines_is_refused(project: Project) -> None:
    write(project, 10, "range AS id, range AS file_row_number")
    assert "a.parquet has a column file_row_number" in project.fail().reason


@pytest.mark.parametrize("then", [1, 4, 10, 20])
@pytest.mark.parametrize("first", [1, 6, 20])
def test_a_changed_file_replaces_all_its_parts(project: Project, first: int, then: int) -> None:
    write(project, first)
    project.load()
    write(project, then, "range + 1_000_000 AS id, hash(range) AS h")
    project.load()
    assert ids(project) == (then * GROUP, then * GROUP, 1_000_000 + then * GROUP - 1)
    assert project.load().status == "unchanged"


def test_a_part_that_is_in_the_raw_zone_is_not_read_again(project: Project) -> None:
    from prefect_etl.pipeline.extract import extract_batch
    from prefect_etl.pipeline.planner import plan_dataset

    write(project, 10)
    with project.open() as workspace:
        plan = plan_dataset(workspace, "t")
        extract_batch(workspace, plan, plan.batches[1])
    assert project.plan().pending == 1
    project.load()
    assert ids(project) == (10 * GROUP, 10 * GROUP, 10 * GROUP - 1)


def test_a_bad_row_of_a_part_is_named_by_its_place_in_the_file(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"id": {"lt": 10 * GROUP - 1}}}
    write(project, 10)
    report = project.load()
    assert report.quarantine is not None
    path = report.quarantine
    (source, row), *more = duckdb.execute(
        f"SELECT _source, _row FROM read_parquet('{path}')"
    ).fetchall()
    assert (file_of(source), row, more) == ("a.parquet", 10 * GROUP, [])


def test_a_dataset_that_becomes_csv_drops_the_parts(project: Project) -> None:
    project.dataset["path"] = "a.*"
    write(project, 10)
    project.load()
    (project.data / "a.parquet").unlink()
    project.dataset["format"] = "csv"
    project.write("a.parquet", "id,h\n1,2\n")
    project.load()
    assert ids(project) == (1, 1, 1)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 50_000)), min_size=1), st.integers(1, 9)
)
def test_ranges_cover_every_row_once_whatever_the_number_of_parts(
    groups: list[tuple[int, int]], count: int
) -> None:
    ranges = parts.fitted(parts._packed(groups), count)
    assert len(ranges) == count
    covered = [row for start, end in ranges for row in range(start, end)]
    assert covered == list(range(sum(rows for rows, _ in groups)))
