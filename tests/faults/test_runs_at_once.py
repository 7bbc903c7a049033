"""Two processes at once: every row once, whoever comes first."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from runner import Runner
from shop import SOAK, arrive, leftovers, make

_ROUNDS = 60 if SOAK else 6


@pytest.fixture
def runners():
    with Runner() as one, Runner() as two:
        yield one, two


def _at_once(runners, roots: list[Path], **job) -> list[dict]:
    """Run pipelines at the same moment."""
    start = threading.Barrier(len(roots))

    def run(runner: Runner, root: Path) -> dict:
        start.wait()
        return runner.run(root, **job)

    with ThreadPoolExecutor(len(roots)) as pool:
        return list(pool.map(run, runners, roots))


def _files(number: int) -> dict[str, str]:
    return {
        f"events/{number}.csv": f"n,what\n{number},a\n{number},b\n",
        f"orders/{number}.csv": f"id,status,updated\n1,{number},2024-01-{number % 28 + 1:02}\n"
        f"{number + 10},new,2024-01-01\n",
        f"prices/{number}.csv": f"sku,price\ns{number},{number}\n",
        f"people/{number}.jsonl": f'{{"name": "p{number}", "age": 3}}\n{{"name": "x"}}\n',
    }


def _rows(warehouse: Path, sql: str) -> Counter:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return Counter(connection.execute(sql).fetchall())


def _assert_every_row_once(warehouse: Path, schema: str, rounds: int) -> None:
    numbers = range(rounds)
    events = Counter((n, what) for n in numbers for what in "ab")
    assert _rows(warehouse, f"SELECT n, what FROM {schema}.events") == events
    orders = Counter([(1,), *((n + 10,) for n in numbers)])
    assert _rows(warehouse, f"SELECT id FROM {schema}.orders") == orders
    prices = Counter((f"s{n}", n) for n in numbers)
    assert _rows(warehouse, f"SELECT sku, price FROM {schema}.prices") == prices
    people = Counter((f"p{n}",) for n in numbers)
    assert _rows(warehouse, f"SELECT name FROM {schema}.people") == people


def test_two_runs_of_one_pipeline_load_every_row_once(runners, root_without_files):
    root = root_without_files
    for number in range(_ROUNDS):
        arrive(root, _files(number))
        answers = _at_once(runners, [root, root], lock_timeout=60)
        assert [answer["failed"] for answer in answers] == [{}, {}]
        _assert_every_row_once(root / "warehouse.duckdb", "main", number + 1)
    assert runners[0].run(root)["status"] == "completed"
    assert leftovers(root) == []


def test_a_run_that_does_not_wait_says_who_holds_the_file_or_loads(runners, root_without_files):
    root = root_without_files
    for number in range(_ROUNDS):
        arrive(root, _files(number))
        answers = _at_once(runners, [root, root], lock_timeout=0)
        for answer in answers:
            for reason in answer["failed"].values():
                assert "is held by process" in reason or "which failed" in reason
    assert runners[0].run(root)["status"] == "completed"
    _assert_every_row_once(root / "warehouse.duckdb", "main", _ROUNDS)
    assert leftovers(root) == []


def test_two_pipelines_load_into_one_warehouse(runners, tmp_path):
    roots = []
    for name in ("one", "two"):
        root = make(tmp_path / name)
        text = (root / "pipeline.yaml").read_text()
        text = text.replace("name: shop", f"name: {name}")
        text = text.replace("duckdb:///warehouse.duckdb", "duckdb:///../warehouse.duckdb")
        for dataset in ("events", "prices"):
            text = text.replace(f"{{path: {dataset}", f"{{schema: {name}, path: {dataset}")
        for dataset in ("orders", "people"):
            text = text.replace(f" path: {dataset}", f" schema: {name}\n        path: {dataset}")
        (root / "pipeline.yaml").write_text(text)
        roots.append(root)
    for number in range(_ROUNDS // 2):
        for root in roots:
            arrive(root, _files(number))
        answers = _at_once(runners, roots, lock_timeout=60)
        assert [answer["failed"] for answer in answers] == [{}, {}]
        for root in roots:
            _assert_every_row_once(tmp_path / "warehouse.duckdb", root.name, number + 1)
