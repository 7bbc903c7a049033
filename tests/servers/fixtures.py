"""Database servers for tests: each started when the first test asks, ended with the session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from servers.mariadb import MariaDBServer, program
from servers.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL of the test session; who stops it starts it again."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def pg_uri(postgres: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database of the test's own."""
    name = postgres.new_database()
    yield postgres.uri(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    """The MariaDB of the test session."""
    if program("mariadbd") is None:
        why = "mariadbd is not installed: apt-get install mariadb-server"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with MariaDBServer() as server:
        yield server


@pytest.fixture
def mysql_uri(mariadb: MariaDBServer) -> Iterator[str]:
    """A MariaDB database of the test's own."""
    name = mariadb.new_database()
    yield mariadb.uri(name)
    mariadb.drop_database(name)
