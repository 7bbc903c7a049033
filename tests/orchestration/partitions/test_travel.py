from __future__ import annotations

import sys

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from prefect.task_runners import ProcessPoolTaskRunner

from prefect_etl.core.partition import CutBySize
from prefect_etl.errors import EtlError, PartitionsFailedError
from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.partitions import map_partitions
from prefect_etl.orchestration.partitions.frames import FrameSource
from prefect_etl.orchestration.partitions.packs import Link, Outcome, Pack
from prefect_etl.orchestration.partitions.results import PartitionResult
from prefect_etl.orchestration.partitions.source import Chosen
from prefect_etl.orchestration.partitions.travel import Compact

ROWS = 200_000
TABLE = pa.table({"n": np.arange(ROWS), "s": [f"row {n}" for n in range(ROWS)]})
FRAMES = {
    "arrow": TABLE,
    "batch": TABLE.combine_chunks().to_batches()[0],
    "polars": pl.from_arrow(TABLE),
    "pandas": TABLE.to_pandas(),
    "pandas on arrow": TABLE.to_pandas(types_mapper=pd.ArrowDtype),
    "numpy": np.arange(ROWS),
    "chunked": TABLE["s"],
    "array": TABLE["s"].combine_chunks(),
    "pandas series": TABLE.to_pandas(types_mapper=pd.ArrowDtype)["s"],
    "polars series": pl.from_arrow(TABLE)["s"],
}


@task
def count(part: object) -> int:
    return len(part)


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return bool((a == b).all())
    return bool(a.equals(b))


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_pack_carries_its_own_rows_only(frame):
    source = FrameSource(frame, CutBySize(ROWS, 10))
    pack = Pack(count, Chosen(source, range(100, 110)), None, 1, Link())
    data = cloudpickle.dumps(pack)
    assert len(data) < 30_000
    copy = cloudpickle.loads(data)
    items = list(copy.items)
    assert [index for index, _, _ in items] == list(range(100, 110))
    original = list(source.read(range(100, 110)))
    for (_, rows, value), expected in zip(items, original, strict=True):
        assert type(value) is type(expected)
        assert rows.rows == 10
        assert same(value, expected)


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_result_carries_its_own_rows_only(frame):
    part = next(FrameSource(frame, CutBySize(ROWS, 10)).read([7]))
    outcome = Outcome([PartitionResult(0, None, "completed", {"part": [part]})], noted=True)
    data = cloudpickle.dumps(outcome)
    assert len(data) < 6_000
    copy = cloudpickle.loads(data)
    assert not copy.noted
    assert same(copy.results[0].value["part"][0], part)


def test_what_arrow_holds_comes_back_the_same():
    nested = pa.table(
        {
            "d": pa.array(["x", None, "y"]).dictionary_encode(),
            "l": [[1, 2], None, []],
            "t": pa.array([1, 2, None], pa.timestamp("us", "Asia/Tokyo")),
        }
    ).replace_schema_metadata({"k": "v"})
    for value in (nested, nested.slice(1, 1), nested.slice(3), nested["d"], nested["l"]):
        copy = cloudpickle.loads(cloudpickle.dumps(Compact(value))).value
        assert copy.equals(value)
        assert type(copy) is type(value)
    assert cloudpickle.loads(cloudpickle.dumps(Compact(nested))).value.schema.metadata == {
        b"k": b"v"
    }


class AwkwardError(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


def test_an_error_that_cannot_be_copied_keeps_its_text():
    failed = PartitionResult(0, None, "failed", error=AwkwardError(1, 2))
    copy = cloudpickle.loads(cloudpickle.dumps(Outcome([failed], noted=True))).results[0].error
    assert type(copy) is EtlError
    assert str(copy) == "AwkwardError: 1 and 2"


def double(part: pd.DataFrame) -> pd.DataFrame:
    if part["n"].iloc[0] == 20:
        raise AwkwardError(2, 0)
    return part.assign(n=part["n"] * 2)


@pytest.mark.usefixtures("prefect_server")
def test_packed_runs_work_in_other_processes(tmp_path):
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    mapped = task(double, name="double", retries=1)

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2), log_prints=False)
    def whole(rows: int, record: str) -> list[PartitionResult[pd.DataFrame]]:
        frame = pd.DataFrame({"n": range(rows)})
        options = {"partition_size": 10, "max_concurrency": 2, "record": tmp_path / record}
        with pytest.raises(PartitionsFailedError, match="1 of 10 partitions failed") as caught:
            map_partitions(mapped, frame, **options)
        first = caught.value.results
        again = map_partitions(mapped, frame, min_success_ratio=0.9, **options)
        assert [result.reused for result in again] == [i != 2 for i in range(10)]
        return list(first)

    results = whole(100, "record")
    assert [result.attempts for result in results] == [1] * 2 + [2] + [1] * 7
    assert results[1].value.equals(pd.DataFrame({"n": range(20, 40, 2)}, index=range(10, 20)))
