"""The one DuckDB session of a process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import BusyError, StorageError

HOLD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    return path


def test_a_transaction_that_is_not_committed_is_rolled_back(warehouse: Path) -> None:
    session = Session()
    with session.attached(warehouse, read_only=False) as cursor:
        cursor.begin()
        cursor.execute("INSERT INTO t VALUES (2)")
    with session.attached(warehouse, read_only=True) as cursor:
        assert cursor.execute("FROM t").fetchall() == [(1,)]


@pytest.mark.parametrize("mode", ["read", "write"])
def test_who_holds_the_file_is_named_after_the_wait(warehouse: Path, mode: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(warehouse), mode], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with (
            pytest.raises(BusyError, match=f"held by process {holder.pid}"),
            Session(wait=0.2).attached(warehouse, read_only=False),
        ):
            pass
        holder.kill()


def test_a_file_that_is_free_in_time_is_taken(warehouse: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(warehouse), "write"], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        threading.Timer(0.5, holder.kill).start()
        with Session(wait=30).attached(warehouse, read_only=False) as cursor:
            assert cursor.execute("FROM t").fetchall() == [(1,)]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_text("this is no database" * 1000)
    with (
        pytest.raises(StorageError, match=r"w\.duckdb"),
        Session().attached(path, read_only=True),
    ):
        pass


def test_two_files_of_one_name_wait_for_each_other(warehouse: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "w.duckdb"
    other.parent.mkdir()
    session = Session()
    order = []

    def write() -> None:
        with session.attached(other, read_only=False):
            order.append("second")

    with session.attached(warehouse, read_only=True):
        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_running_statements_can_be_stopped() -> None:
    session = Session()
    over = threading.Event()

    def stop() -> None:
        while not over.wait(0.1):  # again, in case the statement had not begun
            session.interrupt()

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        with pytest.raises(duckdb.InterruptException):
            session.query("SELECT count(*) FROM range(100000000) a, range(100000) b")
    finally:
        over.set()
        thread.join()


def test_views_work_when_the_file_is_opened_alone(warehouse: Path) -> None:
    with Session().attached(warehouse, read_only=False) as cursor:
        cursor.execute("CREATE VIEW v AS SELECT a + 1 AS b FROM t")
    with duckdb.connect(str(warehouse)) as connection:
        assert connection.execute("FROM v").fetchall() == [(2,)]


def test_a_time_without_a_zone_is_utc_on_every_machine():
    # The engine looks for its zone once a process.
    program = (
        "from prefect_etl.engine.duckdb import Session\n"
        "zoned = 'CAST(TIMESTAMP $$2026-01-01$$ AS TIMESTAMPTZ)'\n"
        "print(Session().query(f'SELECT CAST({zoned} AS TEXT)'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TZ": "America/New_York"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "2026-01-01 00:00:00+00" in done.stdout


def test_a_file_comes_and_goes_while_a_transaction_looks_through_the_catalog(
    tmp_path: Path, warehouse: Path
) -> None:
    other = tmp_path / "other.duckdb"
    duckdb.connect(str(other)).close()
    session = Session()
    done = threading.Event()
    failures: list[Exception] = []

    def look() -> None:
        try:
            while not done.is_set():
                with session.attached(other, read_only=True) as cursor:
                    cursor.begin()
                    cursor.execute("FROM duckdb_tables()").fetchall()
                    time.sleep(0.01)
        except duckdb.Error as error:
            failures.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(30):
            with session.attached(warehouse, read_only=False) as cursor:
                cursor.execute("CREATE OR REPLACE TABLE t AS SELECT 1 AS a")
    finally:
        done.set()
        thread.join()
    assert failures == []
