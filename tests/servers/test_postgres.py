from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from servers.postgres import PostgresServer
from servers.server import PASSWORD

OWNER = """
import sys, time
sys.path.append(sys.argv[1])
from servers.postgres import PostgresServer
server = PostgresServer()
server.start()
print(server.pid, server.folder, flush=True)
time.sleep(60)
"""


def one(uri: str, sql: str) -> object:
    with psycopg.connect(uri) as connection:
        row = connection.execute(sql.encode()).fetchone()
    return row and row[0]


def test_each_test_gets_an_empty_database(postgres: PostgresServer, pg_uri: str) -> None:
    other = postgres.uri(postgres.new_database())
    postgres.execute("CREATE TABLE t (a int)", pg_uri.rpartition("/")[2])
    assert one(pg_uri, "SELECT to_regclass('t')") == "t"
    assert one(other, "SELECT to_regclass('t')") is None


def test_a_wrong_password_is_refused(postgres: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.uri(password=PASSWORD[:-1]))


def test_what_was_committed_outlives_a_kill(postgres: PostgresServer, pg_uri: str) -> None:
    postgres.execute("CREATE TABLE t (a int)", pg_uri.rpartition("/")[2])
    postgres.kill9()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(pg_uri)
    postgres.start()
    assert one(pg_uri, "SELECT to_regclass('t')") == "t"


def test_a_restart_keeps_port_and_data(postgres: PostgresServer, pg_uri: str) -> None:
    postgres.execute("CREATE TABLE t (a int)", pg_uri.rpartition("/")[2])
    before = postgres.pid
    postgres.restart()
    assert postgres.pid != before
    assert one(pg_uri, "SELECT to_regclass('t')") == "t"


def test_nothing_is_left_of_a_server_whose_owner_was_killed() -> None:
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, tests], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        owner.kill()
    give_up = time.monotonic() + 20
    while Path(folder).exists() and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not Path(folder).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), signal.SIG_DFL)
