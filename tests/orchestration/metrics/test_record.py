from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import pytest

from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.metrics import MetricsRecord, read_metrics
from prefect_etl.orchestration.metrics.artifact import table_rows
from prefect_etl.orchestration.metrics.record import RecordFolder
from prefect_etl.orchestration.metrics.usage import Usage
from prefect_etl.utils.metrics.runs import RunMetrics


def record(run: RunMetrics, name: str = "1") -> MetricsRecord:
    started = datetime.now(UTC)
    return MetricsRecord(name, "f", "r", "completed", started, 1.5, 1, tuple(run.as_list()))


def test_a_record_is_read_as_it_was_written(tmp_path):
    run = RunMetrics()
    run.recorder("counter", "rows", {"table": "ä"})(2)
    run.recorder("histogram", "size")(3)
    folder = RecordFolder.of(tmp_path)
    folder.write(record(run))
    found = read_metrics("1", tmp_path)
    assert found.value("rows_total", table="ä") == 2
    assert found.value("size") == 3
    assert found.value("size", table="ä") is None
    assert found == MetricsRecord.from_json(found.to_json())


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_record_is_none(tmp_path, text):
    folder = RecordFolder.of(tmp_path)
    folder.path.mkdir()
    folder.record("1").write_text(text)
    with pytest.raises(ConfigError, match="no metrics of the flow run 1"):
        read_metrics("1", tmp_path)


def test_old_records_are_removed_once_a_day(tmp_path):
    folder = RecordFolder.of(tmp_path)
    for name, days in (("old", 40), ("new", 20)):
        folder.write(record(RunMetrics(), name))
        folder.exchange(name).mkdir(parents=True)
        moment = time.time() - days * 86_400
        os.utime(folder.record(name), (moment, moment))
        os.utime(folder.exchange(name), (moment, moment))
    folder.sweep(30)
    assert folder.read("old") is None
    assert folder.read("new") is not None
    assert not folder.exchange("old").exists()
    assert folder.exchange("new").exists()
    os.utime(folder.record("new"), (0, 0))
    folder.sweep(30)
    assert folder.read("new") is not None


def test_a_table_has_a_row_a_series_and_ends_somewhere():
    run = RunMetrics()
    run.recorder("gauge", "size", unit="bytes")(4096)
    for value in (1, 3):
        run.recorder("histogram", "time", {"a": "b"}, unit="seconds")(value)
    rows = table_rows(run.as_list())
    assert [(row["metric"], row["tags"], row["value"]) for row in rows] == [
        ("size_bytes", "", "4096 bytes"),
        ("time_seconds", "a=b", "2 s"),
    ]
    assert rows[1]["more"] == "mean of 2; least 1 s, greatest 3 s, sum 4 s"
    assert len(table_rows(run.as_list() * 400)) == 501


def test_memory_that_was_used_and_given_back_is_the_peak():
    usage = Usage()
    before = usage.peak_bytes
    block = bytearray(150_000_000)
    block[::4096] = b"x" * len(block[::4096])
    usage.look()
    del block
    assert usage.peak_bytes >= before + 100_000_000
    assert usage.cpu_seconds > 0
