from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest

from servers.mariadb import MariaDBServer
from servers.server import PASSWORD, USER


def rows(uri: str, sql: str, **options: Any) -> list[Any]:
    at = urlsplit(uri)
    connection = pymysql.connect(
        host=at.hostname,
        port=at.port or 0,
        user=USER,
        database=at.path[1:],
        **{"password": PASSWORD} | options,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def test_each_test_gets_an_empty_database(mariadb: MariaDBServer, mysql_uri: str) -> None:
    other = mariadb.new_database()
    mariadb.execute("CREATE TABLE t (a int)", mysql_uri.rpartition("/")[2])
    assert rows(mysql_uri, "SHOW TABLES") == [("t",)]
    assert rows(mariadb.uri(other), "SHOW TABLES") == []


def test_a_wrong_password_is_refused(mariadb: MariaDBServer) -> None:
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        rows(mariadb.uri(), "DO 1", password=PASSWORD[:-1])


def test_tls_is_spoken_to_those_who_ask(mariadb: MariaDBServer) -> None:
    authority = str(mariadb.certificate_authority)
    [(_, cipher)] = rows(mariadb.uri(), "SHOW STATUS LIKE 'Ssl_cipher'", ssl={"ca": authority})
    assert cipher


def test_what_was_committed_outlives_a_kill(mariadb: MariaDBServer, mysql_uri: str) -> None:
    mariadb.execute("CREATE TABLE t (a int)", mysql_uri.rpartition("/")[2])
    mariadb.kill9()
    with pytest.raises(pymysql.OperationalError, match="refused"):
        rows(mysql_uri, "DO 1")
    mariadb.start()
    assert rows(mysql_uri, "SHOW TABLES") == [("t",)]


def test_nothing_is_left_of_a_closed_server(mariadb: MariaDBServer) -> None:
    with MariaDBServer() as server:
        assert Path(server.folder).exists()
    assert not Path(server.folder).exists()
