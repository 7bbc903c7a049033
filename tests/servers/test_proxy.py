from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import psycopg
import pytest
import trustme

from servers.postgres import PostgresServer
from servers.proxy import COMMIT, CutAfter, LoseAnswer, LoseMessage, Proxy, TlsProxy
from servers.server import HOST


class Echo(StreamRequestHandler):
    def handle(self) -> None:
        with suppress(ConnectionError):  # cut, as asked
            while data := self.connection.recv(1 << 16):
                self.connection.sendall(data)


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    with ThreadingTCPServer((HOST, 0), Echo) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy(echo) as proxy:
        yield proxy


@contextmanager
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, proxy.port), timeout=10) as connection:
        yield connection


def echoed(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    got = b""
    while len(got) < len(data) and (more := connection.recv(1 << 16)):
        got += more
    return got


def test_bytes_pass_as_they_are(proxy: Proxy) -> None:
    data = bytes(range(256)) * 4_000
    with client(proxy) as connection:
        sender = Thread(target=connection.sendall, args=(data,))
        sender.start()
        got = b""
        while len(got) < len(data):
            got += connection.recv(1 << 16)
        sender.join()
    assert got == data
    assert proxy.passed == {"to server": len(data), "to client": len(data)}


def test_a_connection_is_cut_after_so_many_bytes(proxy: Proxy) -> None:
    proxy.arm(CutAfter(1_000, "to client"))
    with client(proxy) as connection:
        assert len(echoed(connection, b"x" * 3_000)) == 1_000
    assert proxy.happened
    with client(proxy) as connection:
        assert len(echoed(connection, b"x" * 3_000)) == 3_000


def test_the_server_gets_so_many_bytes(proxy: Proxy) -> None:
    proxy.arm(CutAfter(1_000, "to server"))
    with client(proxy) as connection:
        echoed(connection, b"x" * 3_000)
    assert proxy.passed["to server"] == 1_000


def test_a_connection_is_reset(proxy: Proxy) -> None:
    proxy.arm(CutAfter(0, "to server", reset=True))
    with client(proxy) as connection, pytest.raises(ConnectionResetError):
        echoed(connection, b"x")


def test_all_connections_are_cut_at_once(proxy: Proxy) -> None:
    with client(proxy) as one, client(proxy) as other:
        assert echoed(one, b"x") == echoed(other, b"x") == b"x"
        proxy.cut()
        assert one.recv(1) == other.recv(1) == b""


def test_a_message_is_lost_though_it_comes_in_pieces(proxy: Proxy) -> None:
    proxy.arm(LoseMessage(b"COMMIT"))
    with client(proxy) as connection:
        assert echoed(connection, b"com") == b"com"
        assert echoed(connection, b"mit") == b""
    assert proxy.passed["to server"] == 3


def test_answers_are_late(proxy: Proxy) -> None:
    proxy.delay = 0.1
    with client(proxy) as connection:
        began = time.monotonic()
        echoed(connection, b"x")
    assert time.monotonic() - began >= 0.2


def test_connections_are_refused_for_a_while(proxy: Proxy) -> None:
    with client(proxy) as connection:
        echoed(connection, b"x")
        proxy.refuse(0.3)
        assert connection.recv(1) == b""
        with pytest.raises(ConnectionRefusedError), client(proxy):
            pass
    time.sleep(0.4)
    with client(proxy) as connection:
        assert echoed(connection, b"x") == b"x"


@pytest.mark.parametrize(("fault", "rows"), [(LoseMessage, 0), (LoseAnswer, 1)])
def test_a_lost_commit_is_made_or_not(
    postgres: PostgresServer, pg_uri: str, fault: type[LoseMessage], rows: int
) -> None:
    database = pg_uri.rpartition("/")[2]
    postgres.execute("CREATE TABLE t (a int)", database)
    with Proxy(postgres.port) as proxy:
        connection = psycopg.connect(postgres.uri(database, port=proxy.port))
        connection.execute("INSERT INTO t VALUES (1)")
        proxy.arm(fault(COMMIT))
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        connection.close()
        assert proxy.happened
    with psycopg.connect(pg_uri) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (rows,)


def test_tls_is_spoken_to_postgres(postgres: PostgresServer, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    with TlsProxy(postgres) as proxy:
        uri = f"{postgres.uri(port=proxy.port)}?sslmode=verify-full&sslrootcert="
        with psycopg.connect(f"{uri}{postgres.certificate_authority}") as connection:
            assert connection.pgconn.ssl_in_use
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            psycopg.connect(f"{uri}{other}")
