from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_etl.errors import BusyError, PartitionsFailedError, StorageError
from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.partitions import map_partitions
from prefect_etl.orchestration.partitions.record import Record, remove_old_records
from prefect_etl.orchestration.partitions.results import PartitionResult

pytestmark = pytest.mark.usefixtures("prefect_server")


class Work:
    """Counts its calls; fails for what is said to be broken."""

    def __init__(self) -> None:
        self.calls: Counter[object] = Counter()
        self.broken: set[object] = set()

    def __call__(self, part: object) -> int:
        key = part if isinstance(part, int | str) else len(part)
        self.calls[key] += 1
        if key in self.broken:
            raise ValueError(f"{key} is broken")
        return key * 10


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def mapped(work: Work):
    @task
    def work_on(part: object) -> int:
        return work(part)

    return work_on


def test_a_second_call_runs_only_what_failed(work, mapped, tmp_path):
    work.broken = {3, 5}
    with pytest.raises(PartitionsFailedError, match="2 of 8"):
        map_partitions(mapped, range(8), record=tmp_path)
    work.broken = set()
    again = map_partitions(mapped, range(8), record=tmp_path)
    assert again.values() == [n * 10 for n in range(8)]
    assert [result.reused for result in again] == [n not in {3, 5} for n in range(8)]
    assert work.calls == Counter({n: 2 if n in {3, 5} else 1 for n in range(8)})


def test_a_named_record_is_kept_in_the_home_of_the_user(work, mapped):
    for _ in range(2):
        map_partitions(mapped, [1, 2], record="nightly-1")
    assert work.calls == {1: 1, 2: 1}
    home = Path(os.environ["PREFECT_ETL_HOME"])
    assert list((home / "partitions" / "named" / "nightly-1").glob("*.jsonl"))


def test_without_a_record_everything_runs_again(work, mapped):
    for _ in range(2):
        map_partitions(mapped, [1, 2])
    assert work.calls == {1: 2, 2: 2}


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, pa.table, lambda d: pl.DataFrame(d).lazy()]
)
def test_other_content_runs_again(work, mapped, tmp_path, make):
    for data in ([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 5]):
        map_partitions(mapped, make({"n": data}), partition_size=2, record=tmp_path)
    # Of a lazy frame each part has its own key; of others the whole has one.
    lazy = isinstance(make({"n": [1]}), pl.LazyFrame)
    assert work.calls[2] == (3 if lazy else 4)


def test_another_cut_argument_or_task_runs_again(tmp_path):
    calls: Counter[str] = Counter()

    @task
    def one(part: object, more: int = 0) -> int:
        calls["one"] += 1
        return more

    @task
    def two(part: object) -> int:
        calls["two"] += 1
        return 2

    frame = pd.DataFrame({"n": range(4)})
    map_partitions(one, frame, partitions=2, record=tmp_path)
    map_partitions(one, frame, partitions=1, record=tmp_path)
    map_partitions(one, frame, partitions=2, record=tmp_path, arguments={"more": 1})
    map_partitions(two, frame, partitions=2, record=tmp_path)
    map_partitions(one, frame, by="n", record=tmp_path)
    assert calls == {"one": 2 + 1 + 2 + 4, "two": 2}


def test_elements_may_come_and_go(work, mapped, tmp_path):
    map_partitions(mapped, [1, 2, 3], record=tmp_path)
    results = map_partitions(mapped, iter([9, 3, 1]), record=tmp_path)
    assert results.values() == [90, 30, 10]
    assert [result.index for result in results] == [0, 1, 2]
    assert work.calls == {1: 1, 2: 1, 3: 1, 9: 1}


def test_equal_elements_are_partitions_of_their_own(work, mapped, tmp_path):
    for _ in range(2):
        map_partitions(mapped, iter([7, 7, 7]), record=tmp_path)
        map_partitions(mapped, [7, 7, 7], record=tmp_path)
    assert work.calls == {7: 3}


def test_a_file_that_changed_runs_again(tmp_path):
    calls: Counter[str] = Counter()

    @task
    def rows(path: Path) -> int:
        calls[path.name] += 1
        return len(path.read_text())

    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(name)
    for _ in range(2):
        map_partitions(rows, folder, record=tmp_path / "record")
    (folder / "b").write_text("longer")
    (folder / "c").write_text("")
    results = map_partitions(rows, folder, record=tmp_path / "record")
    assert results.values() == [1, 6, 0]
    assert calls == {"a": 1, "b": 2, "c": 1}
    # A list of paths is the same work.
    map_partitions(rows, sorted(folder.iterdir()), record=tmp_path / "record")
    assert calls["a"] <= 2


def test_rows_of_a_parquet_file_are_recorded(work, mapped, tmp_path):
    pq.write_table(pa.table({"n": range(10)}), tmp_path / "f.parquet", row_group_size=3)
    for _ in range(2):
        map_partitions(mapped, tmp_path / "f.parquet", partition_bytes=1, record=tmp_path / "r")
    assert work.calls == {3: 3, 1: 1}


VALUES = [
    None,
    True,
    1,
    1.5,
    float("inf"),
    "text",
    [1, [2]],
    (1, 2),
    {"a": 1, "b": None},
    {1: "a"},
    b"bytes",
    Decimal("1.10"),
    pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 6]),
    pl.DataFrame({"a": [[1], [2, 3]]}),
    pa.table({"a": pa.array([1, None], pa.int8())}),
    {"rows": 2, "frame": pl.DataFrame({"a": [1]})},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_come_back_by_their_exact_type(value, tmp_path):
    calls: Counter[str] = Counter()

    @task
    def make(_: int) -> object:
        calls["make"] += 1
        return value

    for _ in range(2):
        (result,) = map_partitions(make, [1], record=tmp_path)
    assert calls["make"] == 1
    assert type(result.value) is type(value)
    if hasattr(value, "equals"):
        assert result.value.equals(value)
    elif not (isinstance(value, dict) and "frame" in value):
        assert result.value == value


def test_a_value_without_an_exact_form_runs_again_and_is_said(tmp_path, caplog):
    calls: Counter[str] = Counter()

    @task
    def make(_: int) -> object:
        calls["make"] += 1
        return object()

    for _ in range(2):
        map_partitions(make, [1], record=tmp_path)
    assert calls["make"] == 2
    assert "values of object have no exact form" in caplog.text


def test_nothing_in_the_record_is_pickled(tmp_path):
    @task
    def make(part: int) -> object:
        return {"part": part, "frame": pd.DataFrame({"s": ["a"]})}

    map_partitions(make, range(3), record=tmp_path)
    for path in tmp_path.iterdir():
        assert b"\x80\x04\x95" not in path.read_bytes()
        assert b"\x80\x05\x95" not in path.read_bytes()
    lines = next(tmp_path.glob("*.jsonl")).read_text().splitlines()
    assert json.loads(lines[0])["format"] == 1
    assert len(lines) == 4


def entry(index: int, value: object) -> PartitionResult[object]:
    return PartitionResult(index, None, "completed", value, None, 1, 0.5)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_cut_off_the_rest_is_read(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("torn")
    record = Record(folder, "x")
    for index in range(5):
        record.add(str(index), entry(index, index if index % 2 else {"b": b"x" * index}))
    record.close()
    lines, values = folder / "x.jsonl", folder / "x.values"
    whole = lines.read_bytes()
    keep = data.draw(st.integers(0, len(whole)), label="bytes of lines")
    lines.write_bytes(whole[:keep] + data.draw(st.sampled_from([b"", b"\xff", b"{}\n", b"3\n"])))
    complete = max(whole[:keep].count(b"\n") - 1, 0)
    again = Record(folder, "x")
    found = [again.find(str(index), index, None) for index in range(5)]
    assert [f is not None for f in found] == [index < complete for index in range(5)]
    again.add("9", entry(9, {"b": b"new"}))
    again.close()
    last = Record(folder, "x")
    assert last.find("9", 9, None).value == {"b": b"new"}
    assert len(last) == complete + 1
    last.close()
    assert values.exists()


def test_a_damaged_value_runs_again(tmp_path):
    record = Record(tmp_path, "x")
    record.add("0", entry(0, b"x" * 100))
    record.add("1", entry(1, b"y" * 100))
    record.close()
    values = tmp_path / "x.values"
    content = bytearray(values.read_bytes())
    content[content.index(b"xxxx")] = 0
    values.write_bytes(content)
    again = Record(tmp_path, "x")
    assert again.find("0", 0, None) is None
    assert again.find("1", 1, None).value == b"y" * 100
    again.close()


def test_values_that_were_lost_end_the_record_there(tmp_path):
    record = Record(tmp_path, "x")
    for index in range(3):
        record.add(str(index), entry(index, b"x" * 100))
    record.close()
    values = tmp_path / "x.values"
    values.write_bytes(values.read_bytes()[:-1])
    again = Record(tmp_path, "x")
    assert len(again) == 2
    again.close()


def test_a_record_has_one_user(tmp_path):
    @task
    def inner(_: int) -> str:
        with pytest.raises(BusyError, match="in use by another call"):
            map_partitions(never, [1], record=tmp_path)
        return "refused"

    @task
    def never(_: int) -> None: ...

    def same(_: object) -> None:
        with pytest.raises(BusyError):
            Record(tmp_path, next(tmp_path.glob("*.jsonl")).stem)

    @task
    def within(part: int) -> None:
        same(part)

    assert map_partitions(within, [1], record=tmp_path).values() == [None]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_record_that_cannot_be_written_fails_the_map(mapped, tmp_path, monkeypatch):
    @task
    def fill(number: int) -> int:
        for path in tmp_path.glob("*.jsonl"):
            # The file that the record has open becomes a device that is always full.
            full = os.open("/dev/full", os.O_WRONLY)
            for name in Path("/proc/self/fd").iterdir():
                try:
                    if name.readlink() == path:
                        os.dup2(full, int(name.name))
                except OSError:
                    continue
            os.close(full)
        return number

    with pytest.raises(StorageError, match="the record of the partitions"):
        map_partitions(fill, range(10), record=tmp_path, max_concurrency=1)


def test_retries_of_a_flow_run_run_only_what_failed(work, mapped):
    work.broken = {2}
    attempts = []

    @flow(retries=1)
    async def whole(data: list[int]) -> list[int]:
        attempts.append(1)
        if len(attempts) == 2:
            work.broken = set()
        first = await map_partitions(mapped, data)
        second = await map_partitions(mapped, data)  # a call of its own
        return first.values() + second.values()

    assert asyncio.run(whole([1, 2, 3])) == [10, 20, 30] * 2
    assert work.calls == {1: 2, 2: 3, 3: 2}


def test_retries_of_a_flow_run_use_nothing_where_that_is_said(work, mapped):
    attempts = []

    @flow(retries=1)
    async def whole(data: list[int]) -> None:
        attempts.append(1)
        await map_partitions(mapped, data, record=False)
        if len(attempts) == 1:
            raise ValueError

    asyncio.run(whole([1]))
    assert work.calls == {1: 2}


def test_a_record_that_nobody_asked_for_keeps_few_frames(tmp_path):
    record = Record(tmp_path, "x", limit=10_000)
    record.add("0", entry(0, b"x" * 4_000))
    record.add("1", entry(1, b"x" * 8_000))
    record.add("2", entry(2, "JSON is small"))
    record.close()
    again = Record(tmp_path, "x")
    assert [again.find(str(n), n, None) is not None for n in range(3)] == [True, False, True]
    again.close()


def test_records_that_nobody_touched_for_a_month_are_removed(tmp_path):
    for name, days in (("old", 31), ("new", 29)):
        Record(tmp_path / name, "x").close()
        Record(tmp_path / "named", name).close()
        then = time.time() - days * 86_400
        os.utime(tmp_path / name, (then, then))
        os.utime(tmp_path / "named" / f"{name}.jsonl", (then, then))
    remove_old_records(tmp_path)
    Record(tmp_path / "named", "now").close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["named", "new"]
    assert sorted(path.stem for path in (tmp_path / "named").glob("*.jsonl")) == ["new", "now"]


def test_records_that_another_process_removes_meanwhile_are_no_error(tmp_path, monkeypatch):
    gone = [tmp_path / "never", tmp_path / "there.jsonl"]
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(gone))
    monkeypatch.setattr(Path, "glob", lambda *_: iter(gone))
    remove_old_records(tmp_path)
    Record(tmp_path, "now").close()
    assert (tmp_path / "now.jsonl").exists()
