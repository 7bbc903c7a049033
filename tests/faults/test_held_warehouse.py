"""A warehouse that another process has open: who it is, what to do, and then it converges."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from project import Project

from prefect_etl.errors import BusyError

_HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reading")
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def _held(warehouse: Path, purpose: str) -> Iterator[int]:
    """Another process has the file open; gives its PID."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(warehouse), purpose],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        yield holder.pid
        assert holder.stdin is not None
        holder.stdin.close()
        holder.wait()


@pytest.fixture
def project(tmp_path) -> Project:
    project = Project(tmp_path)
    (project.folder / "a.csv").write_text("n,what\n1,one\n")
    assert project.run().status == "completed"
    (project.folder / "b.csv").write_text("n,what\n2,two\n")
    return project


def test_a_writer_stops_the_run_which_names_it(project):
    warehouse = project.root / "warehouse.duckdb"
    with _held(warehouse, "writing") as pid, pytest.raises(BusyError) as caught:
        project.run()
    assert caught.value.message == f"{warehouse} is held by process {pid}; waited 0.2 s"
    assert "PREFECT_ETL_LOCK_TIMEOUT" in str(caught.value.hint)
    assert project.rows() == [(1, "one")]
    assert project.run().status == "completed"
    assert project.rows() == [(1, "one"), (2, "two")]


def test_a_reader_stops_what_would_be_written_and_is_named(project):
    warehouse = project.root / "warehouse.duckdb"
    with _held(warehouse, "reading") as pid:
        faulty, sound = project.run().datasets
    assert (faulty.status, sound.status) == ("failed", "unchanged")
    assert faulty.reason == f"{warehouse} is held by process {pid}; waited 0.2 s"
    assert "Close the program that has it open" in faulty.hint
    assert project.rows() == [(1, "one")]
    report = project.run_faulty()
    assert (report.status, report.reused) == ("loaded", 1)
    assert project.rows() == [(1, "one"), (2, "two")]


def test_a_run_waits_for_its_turn(project):
    with _held(project.root / "warehouse.duckdb", "reading"):
        import threading

        holder_goes = threading.Event()
        reports = []

        def run() -> None:
            holder_goes.set()
            reports.append(project.run(lock_timeout=60))

        waiting = threading.Thread(target=run)
        waiting.start()
        holder_goes.wait()
    waiting.join()
    assert reports[0].status == "completed"
    assert project.rows() == [(1, "one"), (2, "two")]


def test_a_path_with_the_word_lock_in_it_is_not_waited_for(tmp_path):
    project = Project(tmp_path / "locks")
    (project.folder / "a.csv").write_text("n,what\n1,one\n")
    (project.root / "warehouse.duckdb").mkdir()
    with pytest.raises(Exception, match=r"warehouse\.duckdb") as caught:
        project.run(lock_timeout=600)
    assert not isinstance(caught.value, BusyError)


def test_a_warehouse_that_is_no_database_is_named_and_left_alone(project):
    warehouse = project.root / "warehouse.duckdb"
    kept = warehouse.read_bytes()
    warehouse.write_text("notes, not a database" * 1000)
    with pytest.raises(Exception, match="not a valid DuckDB database") as caught:
        project.run()
    assert str(warehouse) in str(caught.value)
    assert warehouse.read_text().startswith("notes")
    warehouse.write_bytes(kept)
    assert project.run().status == "completed"
