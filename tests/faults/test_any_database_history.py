"""Whatever happens to the rows of a database and to runs, each destination holds what it should.

Hypothesis makes up histories: rows come, some late, change, are marked as gone or vanish; runs end
well, or are killed at some step. Once a run has ended well, tables are what the source's rows say,
however it came to that; and a table changes only together with its version in the ledger.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from shop import SOAK
from steps import Step, watch

from prefect_etl.core.cursor import Window
from prefect_etl.pipeline.backfill import run_window
from prefect_etl.pipeline.progress import Silent
from prefect_etl.pipeline.run import plain_steps, run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace
from prefect_etl.testing.exercise import Exercise
from prefect_etl.testing.exercises import DuckDB, ParquetFolder, Postgres, Sqlite

BEGIN = datetime(2026, 1, 1)  # noqa: DTZ001  # as the source has it
LAG = 2
CHANGED = {"column": "changed", "lag": f"{LAG} days"}
KEYED = {"table": "orders", "key": "id", "cursor": CHANGED, "deleted_when": "gone"}
DATASETS: dict[str, dict[str, Any]] = {
    "appended": {"table": "log", "cursor": {"column": "made", "lag": f"{LAG} days"}},
    "merged": {**KEYED, "write": "merge"},
    "versions": {**KEYED, "write": "scd2", "track": "value"},
    "mirror": {"table": "stock", "key": "id", "write": "merge", "missing": "delete"},
    "snapshots": {"table": "stock", "key": "id", "write": "scd2"},
}
# Few, so that rows meet.
IDS, VALUES = st.integers(1, 2), st.integers(0, 2)
LATE = st.integers(0, LAG)
State = tuple[int, bool]  # value, gone; by the day from which it is so


class Killed(BaseException):
    """As if the process had been killed at this step."""


class History(RuleBasedStateMachine):
    """Three tables of a source, runs, and what becomes of them in one destination."""

    exercise: Exercise

    @initialize()
    def begin(self) -> None:
        memory = Path("/dev/shm")
        self.root = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self._source(
            "CREATE TABLE log (id INTEGER, made TIMESTAMP)",
            'CREATE TABLE orders (id INTEGER, "value" INTEGER, gone BOOLEAN, changed TIMESTAMP)',
            'CREATE TABLE stock (id INTEGER, "value" INTEGER)',
        )
        self.spec = pipeline_from(
            name="history",
            destination=self.exercise.uri(self.root),
            sources={"s": {"connection": "duckdb:///shop.duckdb", "datasets": DATASETS}},
            root=self.root,
        )
        self.schema = self.exercise.schema_of(self.root, self.spec.datasets[0].spec)
        self.day = 1
        self.log: Counter[tuple[int, int]] = Counter()
        self.orders: dict[int, dict[int, State]] = {}
        self.stock: dict[int, int] = {}
        self.seen: dict[str, tuple[int, Any]] = {}
        self.a_line_is_logged(1, 0)
        for number in (1, 2):
            self.an_order_changes(number, number, 0, gone=False)
            self.stock_comes_changes_or_vanishes(number, number)

    def teardown(self) -> None:
        self.runs_end_well()
        shutil.rmtree(self.root, ignore_errors=True)

    @rule(days=st.integers(1, 3))
    def time_passes(self, days: int) -> None:
        self.day += days

    @rule(number=IDS, late=LATE)
    def a_line_is_logged(self, number: int, late: int) -> None:
        day = max(self.day - late, 1)
        self._source(f"INSERT INTO log VALUES ({number}, {_time(day)})")
        self.log[number, day] += 1

    @rule(number=IDS, value=VALUES, late=LATE, gone=st.booleans())
    def an_order_changes(self, number: int, value: int, late: int, *, gone: bool) -> None:
        """Each change is a row; of two of an order, the time says which is the later."""
        states = self.orders.setdefault(number, {})
        day = max(self.day - late, 1)
        if day in states:
            self.day += 1
            day = self.day
        self._source(f"INSERT INTO orders VALUES ({number}, {value}, {gone}, {_time(day)})")
        states[day] = (value, gone)

    @rule(number=IDS, value=st.none() | VALUES)
    def stock_comes_changes_or_vanishes(self, number: int, value: int | None) -> None:
        self._source(f"DELETE FROM stock WHERE id = {number}")
        self.stock.pop(number, None)
        if value is not None:
            self._source(f"INSERT INTO stock VALUES ({number}, {value})")
            self.stock[number] = value

    @rule()
    def runs_end_well(self) -> None:
        """Two: the first may go on with what a killed one had read before the source changed."""
        for _ in range(2):
            report = self._run()
            assert report.status == "completed", report
        self._look()
        self._assert_tables()

    def _assert_tables(self) -> None:
        assert Counter((r["id"], _day(r["made"])) for r in self._rows("appended")) == self.log
        current = {number: states[max(states)] for number, states in self.orders.items()}
        there = {number: value for number, (value, gone) in current.items() if not gone}
        assert self._pairs("merged") == Counter(there.items())
        assert self._pairs("mirror") == Counter(self.stock.items())
        self._assert_histories("snapshots", self.stock)
        for number, versions in self._assert_histories("versions", there).items():
            states = self.orders[number]
            for value, begin, end in versions:
                assert states[_day(begin)] == (value, False)
                assert end is None or _day(end) in states

    @precondition(lambda self: len(self.seen) == len(DATASETS) and self.day > LAG)
    @rule(name=st.sampled_from(["appended", "merged", "versions"]), days=st.integers(1, LAG))
    def a_window_of_the_past_is_loaded_again(self, name: str, days: int) -> None:
        """Rows of the last days come without those that are newer, which stay."""
        self.runs_end_well()
        begin = self.day - LAG
        window = Window(_text(begin), _text(begin + days), open=True)
        with self._workspace() as workspace:
            report = run_window(workspace, name, window, plain_steps(workspace, Silent()), Lock())
        assert report.status == "loaded", report
        self._look()
        self._assert_tables()

    @rule(step=st.integers(1, 160))
    def a_run_is_killed(self, step: int) -> None:
        numbers = count(1)
        dead = False

        def before(_: Step) -> None:
            # Once dead, nothing else that would tidy up gets anything done.
            nonlocal dead
            dead = dead or next(numbers) == step
            if dead:
                raise Killed

        with suppress(Killed), watch(before=before):
            self._run()
        self._look()

    def _assert_histories(
        self, table: str, current: dict[int, int]
    ) -> dict[int, list[tuple[Any, Any, Any]]]:
        """Versions of a key follow each other, and the last is what the source has."""
        found: dict[int, list[tuple[Any, Any, Any]]] = {}
        for row in self._rows(table):
            version = (row["value"], _moment(row["valid_from"]), _moment(row["valid_to"]))
            found.setdefault(row["id"], []).append(version)
        for versions in found.values():
            versions.sort(key=lambda version: version[1])
            for (*_, begin, end), (*_, next_begin, _next_end) in pairwise(versions):
                assert begin < end <= next_begin
        last = {number: versions[-1] for number, versions in found.items()}
        assert {n: value for n, (value, _, end) in last.items() if end is None} == current
        return found

    def _look(self) -> None:
        """A table is as it was, as long as its version is."""
        with self._workspace() as workspace:
            versions = {
                dataset.spec.name: workspace.destination.state(dataset.spec).version
                for dataset in self.spec.datasets
            }
        for name, version in versions.items():
            if not version:
                continue
            rows = Counter(repr(sorted(row.items())) for row in self._rows(name))
            before = self.seen.get(name)
            if before is not None and before[0] == version:
                assert rows == before[1], name
            self.seen[name] = (version, rows)

    def _pairs(self, table: str) -> Counter[tuple[int, int]]:
        return Counter((row["id"], row["value"]) for row in self._rows(table))

    def _rows(self, table: str) -> list[dict[str, Any]]:
        return self.exercise.rows(self.root, self.schema, table)

    def _source(self, *statements: str) -> None:
        with duckdb.connect(str(self.root / "shop.duckdb")) as connection:
            for sql in statements:
                connection.execute(sql)

    def _workspace(self) -> Any:
        return open_workspace(self.spec, Options(concurrency=1, threads=1))

    def _run(self) -> Any:
        with self._workspace() as workspace:
            return run_pipeline(workspace)


def _text(day: int) -> str:
    return str(BEGIN + timedelta(days=day))


def _time(day: int) -> str:
    return f"TIMESTAMP '{_text(day)}'"


def _day(value: Any) -> int:
    return (_moment(value) - BEGIN).days


def _moment(value: Any) -> Any:
    """A time, whatever a destination's driver makes of it; in UTC and without a zone."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = (value - value.utcoffset()).replace(tzinfo=None)
    return value


@pytest.mark.parametrize(
    "exercise", [DuckDB(), ParquetFolder(), Postgres(), Sqlite()], ids=lambda e: e.name
)
def test_any_history(exercise: Exercise, request: pytest.FixtureRequest) -> None:
    exercise.begin(request.getfixturevalue(exercise.fixture) if exercise.fixture else None)
    machine = type("HistoryOfOne", (History,), {"exercise": exercise})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100 if SOAK else 4,
            stateful_step_count=40 if SOAK else 10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    exercise.end()
