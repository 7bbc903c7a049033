from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import polars as pl
import pyarrow as pa

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.report import DatasetReport, RunReport
from prefect_etl.orchestration.metrics.returned import Returned, size_of
from prefect_etl.orchestration.partitions.packs import Outcome
from prefect_etl.orchestration.partitions.results import PartitionResult


def test_frames_of_each_library_have_rows_and_bytes():
    for frame in (
        pd.DataFrame({"a": [1, 2]}),
        pl.DataFrame({"a": [1, 2]}),
        pa.table({"a": [1, 2]}),
    ):
        rows, size = size_of(frame)
        assert (rows, size >= 16) == (2, True)


def test_what_is_no_frame_or_not_computed_has_none():
    assert [size_of(value) for value in (7, None, [1, 2], pl.LazyFrame({"a": [1]}))] == [(0, 0)] * 4


def test_a_pipeline_counts_what_it_read():
    dataset = DatasetReport("d", "main.d", "loaded", counts=Accounting(read=7), bytes=100)
    started = datetime.now(UTC)
    report = RunReport("r", "p", "duckdb:///w", "completed", started, datasets=(dataset, dataset))
    returned = Returned()
    returned.finish(report)
    assert (returned.rows, returned.bytes) == (14, 200)


def test_what_a_flow_returns_counts_where_no_task_returned_a_frame():
    returned = Returned()
    returned.finish([pl.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [1]})])
    assert returned.rows == 3
    returned.finish(pl.DataFrame({"a": [1, 2]}))
    assert returned.rows == 3


def test_frames_of_partitions_count():
    frame = pl.DataFrame({"a": [1, 2]})
    results = [PartitionResult(n, None, "completed", frame) for n in range(3)]
    assert size_of(Outcome(results, noted=True)) == (6, 3 * size_of(frame)[1])
