"""Windows of the past are loaded each once, whatever is new meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import pytest

from prefect_etl.core.backfill import windows
from prefect_etl.errors import ConfigError, StorageError
from prefect_etl.pipeline.backfill import plan_backfill, run_window
from prefect_etl.pipeline.progress import Silent
from prefect_etl.pipeline.run import Steps, finish, logged, plain_steps, run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Workspace, open_workspace

DAYS = windows("2026-01-01", "2026-01-05", "1 day")


class Shop:
    """A table of ten days, one order an hour, and a warehouse."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dataset: dict[str, Any] = {"table": "orders", "cursor": "made"}
        self.execute(
            "CREATE TABLE orders AS SELECT range AS id, TIMESTAMP '2026-01-01' + to_hours(range) "
            "AS made FROM range(240)"
        )

    def execute(self, sql: str, file: str = "shop.duckdb") -> list[Any]:
        with duckdb.connect(str(self.root / file)) as connection:
            return connection.execute(sql).fetchall()

    @contextmanager
    def open(self) -> Iterator[Workspace]:
        spec = pipeline_from(
            name="p",
            destination="duckdb:///warehouse.duckdb",
            sources={
                "s": {"connection": "duckdb:///shop.duckdb", "datasets": {"orders": self.dataset}}
            },
            root=self.root,
        )
        with open_workspace(spec) as workspace:
            yield workspace

    def run(self) -> Any:
        with self.open() as workspace:
            return run_pipeline(workspace).datasets[0]

    def backfill(self, *found: Any, steps: Steps | None = None, again: bool = False) -> list[Any]:
        """Load what of some windows is not done."""
        with self.open() as workspace, logged(workspace) as begun:
            plan = plan_backfill(workspace, "orders", found or DAYS, again=again)
            by = steps or plain_steps(workspace, Silent())
            reports = [run_window(workspace, "orders", w, by, Lock()) for w in plan.todo]
            finish(workspace, begun, reports)
            return reports

    def statuses(self) -> list[str]:
        with self.open() as workspace:
            return [part.status for part in plan_backfill(workspace, "orders", DAYS).windows]

    def days(self) -> list[tuple[int, int]]:
        """Rows of each day in the warehouse."""
        return self.execute(
            "SELECT day(made), count(*) FROM orders GROUP BY 1 ORDER BY 1", "warehouse.duckdb"
        )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.mark.parametrize("write", [{}, {"write": "merge", "key": "id"}])
def test_windows_are_loaded_each_once(shop, write):
    shop.dataset |= write
    shop.backfill(*DAYS[:2])
    assert shop.statuses() == ["done", "done", "missing", "missing"]
    assert len(shop.backfill()) == 2
    assert shop.days() == [(day, 24) for day in (1, 2, 3, 4)]
    assert shop.backfill() == []


@pytest.mark.parametrize("write", [{}, {"write": "merge", "key": "id"}])
def test_a_backfill_after_a_load_doubles_nothing(shop, write):
    shop.dataset |= write
    shop.run()
    shop.backfill()
    assert shop.days() == [(day, 24) for day in range(1, 11)]
    assert shop.run().counts.inserted in (0, 1)  # the row at the bound may be read again
    assert shop.days() == [(day, 24) for day in range(1, 11)]


def test_a_run_after_a_backfill_goes_on_from_its_highest_row(shop):
    shop.backfill()
    shop.run()
    assert shop.days() == [(day, 24) for day in range(1, 11)]


def test_a_window_loaded_again_takes_what_changed(shop):
    shop.backfill()
    shop.execute("DELETE FROM orders WHERE id < 10")
    (report,) = shop.backfill(DAYS[0], again=True)
    assert report.counts.inserted == 14
    assert shop.days()[0] == (1, 14)


def test_a_failed_window_stops_no_other_and_is_told(shop):
    with shop.open() as workspace:
        steps = plain_steps(workspace, Silent())

    def fails(plan, extracted):
        if "2026-01-02 to" in plan.reasons[0]:
            raise StorageError("the disk is full")
        with shop.open() as workspace:
            return plain_steps(workspace, Silent()).load(plan, extracted)

    shop.backfill(steps=Steps(steps.extract, fails))
    assert shop.statuses() == ["done", "failed", "done", "done"]
    shop.backfill()
    assert shop.statuses() == ["done"] * 4


def test_a_dataset_without_cursor_has_no_windows(shop):
    shop.dataset = {"table": "orders", "write": "replace"}
    with shop.open() as workspace, pytest.raises(ConfigError, match="cannot be read by windows"):
        plan_backfill(workspace, "orders", DAYS)


def test_bounds_that_do_not_fit_the_cursor_are_refused(shop):
    (report,) = shop.backfill(*windows("1", "2", "1"))
    assert report.status == "failed"
    assert "does not fit the cursor made" in report.reason
