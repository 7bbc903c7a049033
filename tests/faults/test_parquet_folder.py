"""SIGKILL at every step of loads into a folder of Parquet tables: nobody ever sees half a load."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import duckdb
import pytest
from runner import Runner
from shop import SOAK, arrive

from prefect_etl.connectors.parquet import ParquetConnection, ParquetDestination
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit
from prefect_etl.testing.exercise import small_session
from prefect_etl.testing.loads import make_load

PIPELINE = """\
name: shop
destination: parquet:///lake?keep=0 hours
sources:
  landing:
    connection: file://./data
    datasets:
      events: {path: events/*.csv, partition_by: what}
      orders:
        path: orders/*.csv
        write: merge
        key: id
        cursor: updated
        deleted_when: status = 'gone'
      people: {path: orders/*.csv, write: scd2, key: id, cursor: updated}
      prices: {path: prices/*.csv, write: replace}
"""
INCREMENTS = (
    {
        "events/a.csv": "n,what\n1,open\n2,close\n",
        "events/b.csv": "n,what\n3,open\n3,open\n",
        "orders/1.csv": "id,status,updated\n1,new,2024-01-01\n2,new,2024-01-01\n",
        "prices/1.csv": "sku,price\nx,1\ny,2\n",
    },
    {
        "events/b.csv": "n,what,where\n3,open,\n4,changed,Paris\n",
        "events/c.csv": "n,what\n6,open\n",
        "orders/2.csv": "id,status,updated\n1,gone,2024-01-03\n2,paid,2024-01-04\n",
        "prices/1.csv": "sku,price\nx,1.5\nz,3\n",
    },
    {
        "events/d.csv": "n,what\n7,open\n",
        "orders/3.csv": "id,status,updated\n3,new,2024-01-05\n",
        "prices/1.csv": "sku,price\nx,2\n",
    },
)
TABLES = ("events", "orders", "people", "prices")
# What leaves another disk behind; a kill before any other step is a kill before the next of these.
CHANGES = {"replace", "rename", "link", "mkdir", "unlink", "rmdir", "open", "COPY"}


def tables(root: Path) -> dict[str, Counter[Any]]:
    """What a reader sees of each table, in no order."""
    found = {}
    with duckdb.connect() as connection:
        for name in TABLES:
            files = f"{root}/lake/{name}/**/*.parquet"
            if not (root / "lake" / name).exists():
                continue
            rows = connection.sql(
                "SELECT COLUMNS(c -> NOT starts_with(c, '_etl')) FROM read_parquet("
                f"'{files}', union_by_name = true, hive_partitioning = true)"
            )
            seen = (
                sorted(zip(rows.columns, map(str, row), strict=True)) for row in rows.fetchall()
            )
            found[name] = Counter(map(str, (sorted(rows.columns), *seen)))
    return found


def leftovers(root: Path) -> list[str]:
    """What a load that was killed left beside the versions."""
    return [
        str(path.relative_to(root))
        for path in (root / "lake").glob(".versions/*/*")
        if path.name.startswith(".") or path.suffix == ".lock"
    ]


class Start:
    """A folder whose second increment is still to be loaded, and what loading it gives."""

    def __init__(self, folder: Path, runner: Runner) -> None:
        self.root = folder / "begun"
        self.root.mkdir()
        (self.root / "pipeline.yaml").write_text(PIPELINE)
        arrive(self.root, INCREMENTS[0])
        self.run(runner, self.root)
        arrive(self.root, INCREMENTS[1])
        self.before = tables(self.root)
        finished = folder / "finished"
        shutil.copytree(self.root, finished, symlinks=True)
        self.steps = self.run(runner, finished)["steps"]
        self.after = tables(finished)

    @staticmethod
    def run(runner: Runner, root: Path) -> dict[str, Any]:
        done = runner.run(root)
        assert done["status"] == "completed", done
        return done

    def kills(self) -> list[int]:
        """The steps to be killed at: those that change the tables' folders."""
        return [
            number
            for number, step in enumerate(self.steps, 1)
            if SOAK or ("/lake/" in step["subject"] and step["call"] in CHANGES)
        ]

    def faults(self, runner: Runner, root: Path, kill: int) -> list[str]:
        """Kill a run before a step, look, start it again, and look again."""
        shutil.copytree(self.root, root, symlinks=True)
        assert runner.run(root, before=kill)["status"] == "killed"
        faults = [
            f"{name} is neither as before nor as after"
            for name, seen in tables(root).items()
            if seen not in (self.before[name], self.after[name])
        ]
        self.run(runner, root)
        found = tables(root)
        faults += [f"{name} is {found[name]}" for name in TABLES if found[name] != self.after[name]]
        if leftovers(root):  # a table that is not loaded again is not swept
            arrive(root, INCREMENTS[2])
            self.run(runner, root)
            faults += leftovers(root)
        shutil.rmtree(root)
        return [f"killed at {kill}, {self.steps[kill - 1]}: {fault}" for fault in faults]


@pytest.fixture
def start(fast_folder: Path, runner: Runner) -> Start:
    return Start(fast_folder, runner)


def test_readers_never_see_half_a_load_and_the_next_run_ends_it(start, runner, capsys):
    kills = start.kills()
    free: SimpleQueue[Runner] = SimpleQueue()
    numbers = count()

    def attempt(kill: int) -> list[str]:
        mine = free.get()
        try:
            return start.faults(mine, start.root.with_name(f"{next(numbers)}"), kill)
        finally:
            free.put(mine)

    with Runner() as other, ThreadPoolExecutor(2) as pool:
        free.put(runner)
        free.put(other)
        wrong = [fault for faults in pool.map(attempt, kills) for fault in faults]
    with capsys.disabled():
        print(f"\nkilled at {len(kills)} points of {len(start.steps)} steps")  # noqa: T201
    assert not wrong, f"{len(wrong)} faults:\n" + "\n".join(wrong[:20])


def test_a_reader_that_resolves_the_link_sees_one_load(tmp_path):
    """Files of partitions are listed folder by folder; the link may change between them."""
    dataset = DatasetSpec(name="t", write="replace", partition_by="part")
    schema = TableSchema.of(part="INTEGER", load="INTEGER")
    place = ParquetConnection(path=tmp_path)
    over = threading.Event()
    seen: set[tuple[Any, ...]] = set()

    def read() -> None:
        with duckdb.connect() as connection:
            while not over.is_set():
                if (tmp_path / "t").exists():
                    files = f"{(tmp_path / 't').resolve()}/**/*.parquet"
                    query = f"SELECT load, count(*) FROM '{files}' GROUP BY 1"
                    seen.add(tuple(connection.execute(query).fetchall()))

    with small_session() as session, ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        destination = ParquetDestination(place, session)
        for load in range(8):
            rows = [{"part": part, "load": load} for part in range(10)]
            units = {Unit("a", f"{load}"): rows}
            destination.commit(make_load(dataset, destination.state(dataset), units, schema))
        over.set()
        reader.result()
    assert len(seen) > 1
    assert all([rows for _, rows in picture] == [10] for picture in seen), seen
