from __future__ import annotations

from pathlib import Path

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefect_etl.core.partition import RowRange
from prefect_etl.errors import ConfigError, DataError, PartitionsFailedError, SourceReadError
from prefect_etl.orchestration.decorators import task
from prefect_etl.orchestration.partitions import map_partitions

pytestmark = pytest.mark.usefixtures("prefect_server")
N = list(range(25))


@task
def same(part: object) -> object:
    return part


def columns(part: object) -> list[int]:
    native = part.to_native() if hasattr(part, "to_native") else part
    if isinstance(native, np.ndarray | list):
        return list(native)
    if isinstance(native, pa.Table | pa.RecordBatch):
        return native["n"].to_pylist()
    return list(native["n"])


TABLE = pa.table({"n": N, "g": ["a" if n % 3 else "b" for n in N]})
EAGER = {
    "pandas": TABLE.to_pandas(),
    "polars": pl.from_arrow(TABLE),
    "arrow": TABLE,
    "batch": TABLE.to_batches()[0],
    "narwhals": nw.from_native(TABLE.to_pandas(), eager_only=True),
    "narwhals of arrow": nw.from_native(TABLE, eager_only=True),
}
LAZY = {
    "polars lazy": pl.LazyFrame({"n": N, "g": TABLE["g"].to_pylist()}),
    "narwhals lazy": nw.from_native(pl.LazyFrame({"n": N, "g": TABLE["g"].to_pylist()})),
}


@pytest.mark.parametrize("data", [*EAGER.values(), *LAZY.values()], ids=[*EAGER, *LAZY])
def test_a_frame_is_cut_to_frames_of_its_kind(data):
    parts = map_partitions(same, data, partition_size=10).values()
    assert [columns(part) for part in parts] == [N[:10], N[10:20], N[20:]]
    if data is not LAZY["narwhals lazy"]:
        kind = pa.Table if False else type(data)
        lazy = {pl.LazyFrame: pl.DataFrame}.get(kind, kind)
        assert all(type(part) is lazy for part in parts)


@pytest.mark.parametrize("data", [*EAGER.values(), *LAZY.values()], ids=[*EAGER, *LAZY])
def test_groups_come_as_they_appear_with_their_rows_in_order(data):
    results = map_partitions(same, data, by="g")
    assert [result.partition for result in results] == ["b", "a"]
    assert columns(results[0].value) == [n for n in N if n % 3 == 0]
    assert columns(results[1].value) == [n for n in N if n % 3]


@pytest.mark.parametrize("data", [*EAGER.values(), *LAZY.values()], ids=[*EAGER, *LAZY])
def test_a_frame_is_cut_to_as_many_parts_as_asked_for(data):
    parts = map_partitions(same, data, partitions=4).values()
    assert [len(columns(part)) for part in parts] == [6, 6, 6, 7]


def test_a_frame_is_cut_by_bytes():
    frame = pl.DataFrame({"n": np.arange(1000)})
    parts = map_partitions(same, frame, partition_bytes=800).values()
    assert {len(part) for part in parts} == {100}
    lazy = map_partitions(same, frame.lazy(), partition_bytes=800).values()
    assert sum(len(part) for part in lazy) == 1000
    assert len(lazy) == 10


def test_where_nothing_is_said_a_small_frame_is_one_partition():
    assert len(map_partitions(same, TABLE)) == 1
    large = np.zeros(2**22)  # 32 MiB
    results = map_partitions(same, large, max_concurrency=2)
    assert len(results) == 8


def test_a_partition_is_named_by_its_rows():
    results = map_partitions(same, TABLE, partition_size=20)
    assert [result.partition for result in results] == [RowRange(0, 20), RowRange(20, 25)]


def test_columns_and_arrays_are_cut_too():
    for data in (pd.Series(N), pl.Series(N), np.array(N), pa.array(N), pa.chunked_array([N])):
        parts = map_partitions(same, data, partition_size=10).values()
        assert [len(part) for part in parts] == [10, 10, 5]


def test_a_slice_shares_the_memory_of_the_frame():
    frame = pd.DataFrame({"n": np.arange(100)})
    part = map_partitions(same, frame, partitions=2).values()[1]
    assert np.shares_memory(part["n"].to_numpy(), frame["n"].to_numpy())


def test_nulls_are_a_group_and_several_columns_make_a_key():
    frame = pl.DataFrame({"a": [1, None, 1, None], "b": ["x", "x", "y", "x"]})
    results = map_partitions(same, frame, by=["a", "b"])
    assert [result.partition for result in results] == [(1, "x"), (None, "x"), (1, "y")]
    assert [len(result.value) for result in results] == [1, 2, 1]
    pandas = pd.DataFrame({"a": pd.Categorical(["x", None, "x"])})
    assert [r.partition for r in map_partitions(same, pandas, by="a")] == ["x", None]


def test_a_group_column_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="not there: h"):
        map_partitions(same, TABLE, by="h")
    with pytest.raises(DataError, match="cannot group by a"):
        map_partitions(same, pd.DataFrame({"a": [1, "x"]}), by="a")


def test_a_stream_of_record_batches_is_cut_again_as_it_comes():
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches(max_chunksize=7))
    parts = map_partitions(same, reader, partition_size=10).values()
    assert [columns(part) for part in parts] == [N[:10], N[10:20], N[20:]]
    assert all(type(part) is pa.Table for part in parts)


def test_each_element_of_an_iterable_is_a_partition():
    for data in ([1, 2, 3], (1, 2, 3), range(1, 4), iter([1, 2, 3]), {1: 0, 2: 0, 3: 0}.keys()):
        assert map_partitions(same, data).values() == [1, 2, 3]
    frames = [TABLE, TABLE.slice(3)]
    assert map_partitions(same, frames).values() == frames


def test_elements_are_put_in_lists_of_a_size():
    for data in (N, iter(N)):
        parts = map_partitions(same, data, partition_size=10).values()
        assert parts == [N[:10], N[10:20], N[20:]]
    results = map_partitions(same, N, partitions=2)
    assert [len(part) for part in results.values()] == [12, 13]
    assert results[1].partition == "elements 12 to 24"


@pytest.mark.parametrize(
    ("data", "options", "what"),
    [
        ({"a": 1}, {}, "a dict cannot be cut"),
        (b"abc", {}, "bytes cannot be cut"),
        (5, {}, "a int cannot be cut"),
        ("no-such-file.csv", {}, "there is no file at no-such-file.csv"),
        ([1], {"by": "a"}, "need a frame"),
        (iter([1]), {"partitions": 2}, "length is known"),
    ],
)
def test_what_cannot_be_cut_is_refused(data, options, what):
    with pytest.raises(ConfigError, match=what):
        map_partitions(same, data, **options)


def test_an_async_iterable_is_refused():
    async def numbers():
        yield 1

    with pytest.raises(ConfigError, match="async iterable"):
        map_partitions(same, numbers())


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE, path, row_group_size=4)
    return path


def test_a_parquet_file_is_cut_between_its_row_groups(parquet):
    results = map_partitions(same, parquet, partition_bytes=1)
    assert [result.partition for result in results] == [
        RowRange(i, min(i + 4, 25)) for i in range(0, 25, 4)
    ]
    assert [n for part in results.values() for n in columns(part)] == N
    assert len(map_partitions(same, str(parquet))) == 1


@pytest.mark.parametrize("options", [{"partition_size": 10}, {"partitions": 3}])
def test_a_parquet_file_is_cut_to_exact_rows_where_they_are_asked_for(parquet, options):
    parts = map_partitions(same, parquet, max_concurrency=1, **options).values()
    assert len(parts) == 3
    assert [n for part in parts for n in columns(part)] == N


def test_several_parquet_files_are_cut_without_mixing_them(parquet, tmp_path):
    pq.write_table(TABLE.slice(0, 5), tmp_path / "a.parquet")
    results = map_partitions(same, tmp_path, partition_size=20)
    assert [part.num_rows for part in results.values()] == [5, 20, 5]
    assert str(results[0].partition) == f"{tmp_path / 'a.parquet'}, rows 0 to 4"


def test_files_of_a_folder_or_glob_are_partitions_by_their_paths(tmp_path):
    for name in ("b.csv", "a.csv", "in/c.csv", ".hidden.csv", "_SUCCESS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("n\n1\n")
    everything = map_partitions(same, tmp_path)
    assert everything.values() == [tmp_path / n for n in ("a.csv", "b.csv", "in/c.csv")]
    assert everything[0].partition == tmp_path / "a.csv"
    assert map_partitions(same, f"{tmp_path}/*.csv").values() == [
        tmp_path / "a.csv",
        tmp_path / "b.csv",
    ]
    with pytest.raises(ConfigError, match="only Parquet files"):
        map_partitions(same, tmp_path, partition_size=5)


def test_a_damaged_parquet_file_is_named(tmp_path):
    path = tmp_path / "bad.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(SourceReadError, match=r"bad\.parquet"):
        map_partitions(same, path)


def test_row_groups_that_cannot_be_read_fail_their_own_partitions(parquet):
    whole = parquet.read_bytes()
    middle = pq.read_metadata(parquet).row_group(3).column(0).data_page_offset
    parquet.write_bytes(whole[:middle] + b"\xff" * 20 + whole[middle + 20 :])
    with pytest.raises(PartitionsFailedError) as caught:
        map_partitions(same, parquet, partition_size=4, max_concurrency=1)
    results = caught.value.results
    assert [result.index for result in results.failed] == [3]
    assert results.failed[0].attempts == 0
