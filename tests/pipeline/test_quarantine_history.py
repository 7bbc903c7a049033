"""Whatever happened before, a replay loads what a right contract would have loaded."""

from __future__ import annotations

import tempfile
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_etl.connectors.memory import store
from prefect_etl.pipeline.replay import entries_to_replay, replay_pipeline
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace

FILES = ("a.csv", "b.csv")
ROWS = st.lists(st.tuples(st.integers(1, 4), st.sampled_from([-9, -3, 4])), max_size=4)
WRITTEN = st.tuples(st.just("write"), st.sampled_from(FILES), ROWS)
CONTRACT = st.tuples(st.just("contract"), st.sampled_from([0, -5]))
STEPS = st.lists(
    st.one_of(WRITTEN, CONTRACT, st.just(("run",)), st.just(("replay",)), st.just(("refresh",))),
    max_size=8,
)
NAMES = count()


class Shop:
    """Two files, a contract that changes, and what the table has to be in the end."""

    def __init__(self, root: Path, how: dict[str, Any]) -> None:
        self.root, self.how, self.least = root, how, 0
        self.store = f"history {next(NAMES)}"
        self.cursor = count(1)
        self.files: dict[str, list[tuple[int, int, int]]] = {}
        (root / "data").mkdir()

    def open(self) -> Any:
        """The pipeline with the contract of now."""
        contract = {"columns": {"v": {"ge": self.least}}}
        dataset = {"path": "*.csv", "types": {"id": "int64", "v": "int64", "at": "int64"}}
        files = {
            "connection": "file://./data",
            "datasets": {"t": {**dataset, "contract": contract, **self.how}},
        }
        spec = pipeline_from(
            name="p", destination=f"memory://{self.store}", sources={"f": files}, root=self.root
        )
        return open_workspace(spec, Options(threads=1))

    def write(self, name: str, rows: list[tuple[int, int]]) -> None:
        """A file appears or changes; its rows are newer than all before."""
        self.files[name] = [(key, v, next(self.cursor)) for key, v in rows]
        lines = [f"{key},{v},{at}\n" for key, v, at in self.files[name]]
        (self.root / "data" / name).write_text("id,v,at\n" + "".join(lines))

    def do(self, what: str, *how: Any) -> None:
        """One step."""
        if what == "write":
            self.write(*how)
        elif what == "contract":
            (self.least,) = how
        elif self.files:
            with self.open() as workspace:
                if what == "replay":
                    names = [(e.dataset, e.name) for e in entries_to_replay(workspace, None)]
                    report = replay_pipeline(workspace, names)
                else:
                    report = run_pipeline(workspace, refresh=what == "refresh")
            assert report.status == "completed", report
            assert all(part.counts.balanced for part in report.datasets)

    def table(self) -> Counter[tuple[int, ...]]:
        """What was loaded."""
        rows = store(self.store).rows("t")
        return Counter((row["id"], row["v"], row["at"]) for row in rows)


@pytest.mark.parametrize("how", [{}, {"write": "merge", "key": "id", "cursor": "at"}])
def test_in_the_end_all_rows_are_there_once(how: dict[str, Any]) -> None:
    @settings(max_examples=15)
    @given(STEPS)
    def converges(steps: list[tuple[Any, ...]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shop = Shop(Path(folder), how)
            shop.write("a.csv", [(1, -3), (2, 4)])
            for step in [*steps, ("run",), ("contract", -100), ("run",), ("replay",)]:
                shop.do(*step)
            assert_right(shop)
            for step in [("write", "a.csv", [(1, 4)]), ("run",), ("replay",)]:
                shop.do(*step)
            assert_right(shop)

    def assert_right(shop: Shop) -> None:
        with shop.open() as workspace:
            assert entries_to_replay(workspace, None) == []
        present = [row for rows in shop.files.values() for row in rows]
        if not how:
            assert shop.table() == Counter(present)
        else:  # rows of earlier versions of a file stay, where no later one has their key
            latest = {key: (key, v, at) for key, v, at in sorted(present, key=lambda r: r[2])}
            assert latest.items() <= {row[0]: row for row in shop.table()}.items()

    converges()
