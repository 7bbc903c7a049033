"""A server that dies, a wire that is cut while PostgreSQL is loaded: all of a load, or nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from shop import SOAK

from prefect_etl.connectors.postgres import PostgresConnection, PostgresDestination, commitment
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.load import Load, LoadResult
from prefect_etl.core.schema import TableSchema
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import UnreachableError, VersionConflict
from prefect_etl.testing.exercise import small_session
from prefect_etl.testing.loads import make_load
from servers.postgres import PostgresServer
from servers.proxy import COMMIT, CutAfter, Fault, Link, LoseAnswer, LoseMessage, Proxy, Way

ROWS = 5_000
CUTS = 1000 if SOAK else 12
SCHEMA = TableSchema.of(id="BIGINT", name="VARCHAR")


@dataclass(frozen=True)
class Shop:
    """A database behind a proxy, with a table whose every load adds rows of its own."""

    server: PostgresServer
    proxy: Proxy
    database: str
    session: Session
    dataset: DatasetSpec

    @property
    def destination(self) -> PostgresDestination:
        uri = self.server.uri(self.database, port=self.proxy.port)
        return PostgresDestination(PostgresConnection.from_uri(uri, Path()), self.session)

    def load(self) -> Load:
        """The next load: the rows after those that the ledger knows."""
        state = self.destination.state(self.dataset)
        load = make_load(self.dataset, state, {f"{state.version}": [{}] * ROWS}, SCHEMA)
        (unit,) = load.units
        first = state.version * ROWS
        rows = (
            f"SELECT range + {first} AS id, repeat('x', 100) AS name, "
            f"CAST({unit.unit_id} AS BIGINT) AS _etl_unit_id, range AS _etl_row FROM range({ROWS})"
        )
        return replace(load, rows=rows)

    def commit(self) -> LoadResult:
        return self.destination.commit(self.load())

    @property
    def version(self) -> int:
        """The ledger's; the table has just the rows of all its loads."""
        with psycopg.connect(self.server.uri(self.database)) as connection:
            (found,) = connection.execute(
                "SELECT max(version) FROM _prefect_etl.loads WHERE table_name = 'd'"
            ).fetchone()
            version = found or 0
            if version:
                rows = connection.execute("SELECT count(*), count(DISTINCT id), max(id) FROM d")
                assert rows.fetchone() == (version * ROWS, version * ROWS, version * ROWS - 1)
            else:
                assert connection.execute("SELECT to_regclass('d')").fetchone() == (None,)
            return version


class Halfway:
    """Does something when so many bytes have passed to the server, which goes on meanwhile."""

    reset = False

    def __init__(self, size: int, action: Callable[[], Any]) -> None:
        self._left = size
        self._action = action

    def see(self, link: Link, way: Way, data: bytes) -> tuple[bytes, bool]:
        if way == "to server" and self._left > 0:
            self._left -= len(data)
            if self._left <= 0:
                self._action()
        return data, False


class Then:
    """A fault, and what happens at once after it."""

    def __init__(self, fault: Fault, action: Callable[[], Any]) -> None:
        self._fault = fault
        self._action = action
        self.reset = fault.reset

    def see(self, link: Link, way: Way, data: bytes) -> tuple[bytes, bool]:
        passed, over = self._fault.see(link, way, data)
        if over:  # not here: this is the thread that serves the proxy
            threading.Thread(target=self._action, daemon=True).start()
        return passed, over


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.new_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture(params=["append", "merge"])
def shop(request, postgres, database) -> Iterator[Shop]:
    key = "id" if request.param == "merge" else ()
    dataset = DatasetSpec(name="d", write=request.param, key=key)
    postgres.execute("DROP TABLE IF EXISTS d", database)
    postgres.execute("DROP SCHEMA IF EXISTS _prefect_etl CASCADE", database)
    with Proxy(postgres.port) as proxy, small_session() as session:
        yield Shop(postgres, proxy, database, session, dataset)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commitment, "PATIENCE_SECONDS", 0.3)


def test_a_lost_reply_to_commit_is_asked_of_the_ledger(shop):
    shop.commit()
    shop.proxy.arm(LoseAnswer(COMMIT))
    result = shop.commit()
    assert shop.proxy.happened
    assert result.version == shop.version == 2
    assert list(result.counts.values()) == [Accounting(read=ROWS, inserted=ROWS)]


def test_a_commit_that_never_arrives_publishes_nothing(shop):
    shop.commit()
    shop.proxy.arm(LoseMessage(COMMIT, reset=True))
    with pytest.raises(UnreachableError, match="hung up before COMMIT"):
        shop.commit()
    assert shop.version == 1
    shop.commit()
    assert shop.version == 2


def test_a_server_that_is_away_at_commit_is_waited_for(shop):
    """It may have to recover before it can tell."""
    shop.commit()
    load = shop.load()
    shop.proxy.arm(Then(LoseAnswer(COMMIT), lambda: shop.proxy.refuse(1.0)))
    assert shop.destination.commit(load).version == shop.version == 2


def test_a_server_that_stays_away_at_commit_leaves_the_answer_to_the_next_run(shop, impatient):
    shop.commit()
    load = shop.load()
    shop.proxy.arm(Then(LoseAnswer(COMMIT), lambda: shop.proxy.refuse(1.5)))
    with pytest.raises(UnreachableError, match="does not come back within"):
        shop.destination.commit(load)
    assert shop.version == 2
    time.sleep(1.5)
    with pytest.raises(VersionConflict):
        shop.destination.commit(load)


@pytest.mark.parametrize("way", ["to server", "to client"])
def test_a_wire_that_is_cut_anywhere_loses_and_doubles_nothing(shop, way):
    shop.commit()
    load, before = shop.load(), shop.proxy.passed[way]
    shop.destination.commit(load)
    size = shop.proxy.passed[way] - before
    version = 2
    for part in range(CUTS):
        load = shop.load()
        shop.proxy.arm(CutAfter(size * part // CUTS, way, reset=part % 2 == 0))
        try:
            shop.destination.commit(load)
        except UnreachableError:
            assert shop.version == version
        else:
            version += 1
        assert shop.version == version


def test_a_session_that_is_ended_while_it_copies_publishes_nothing(shop):
    shop.commit()
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' "
        f"AND datname = '{shop.database}'"
    )
    shop.proxy.arm(Halfway(200_000, lambda: shop.server.execute(ended)))
    with pytest.raises(UnreachableError, match=r"terminating connection|closed the connection"):
        shop.commit()
    assert shop.version == 1
    shop.commit()
    assert shop.version == 2


def test_a_server_that_is_killed_while_it_copies_has_published_nothing(shop):
    shop.commit()
    load = shop.load()
    shop.proxy.arm(Halfway(200_000, shop.server.kill9))
    try:
        with pytest.raises(UnreachableError):
            shop.destination.commit(load)
    finally:
        shop.server.start()
    assert shop.version == 1
    shop.destination.commit(load)
    assert shop.version == 2


def test_a_server_that_is_killed_at_commit_is_asked_when_it_is_back(shop):
    shop.commit()

    def crash() -> None:
        shop.server.kill9()
        shop.server.start()

    load = shop.load()
    shop.proxy.arm(Then(LoseAnswer(COMMIT), crash))
    assert shop.destination.commit(load).version == shop.version == 2


def test_of_two_runs_that_race_one_wins(shop):
    for round_ in range(3):
        loads = [shop.load() for _ in range(2)]
        found: list[object] = []

        def attempt(load: Load, found: list[object] = found) -> None:
            try:
                found.append(shop.destination.commit(load).version)
            except VersionConflict:
                found.append("lost")

        threads = [threading.Thread(target=attempt, args=(load,)) for load in loads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(str, found)) == sorted([str(round_ + 1), "lost"])
        assert shop.version == round_ + 1
