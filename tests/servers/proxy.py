"""A wire that can be cut: a TCP proxy between a client and a server of the tests.

One fault is armed at a time and happens once, so what is tried again gets through::

    with Proxy(postgres.port) as proxy:
        proxy.arm(LoseAnswer(COMMIT))
        load(postgres.uri(database, port=proxy.port))
        assert proxy.happened
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Coroutine
from threading import Thread
from typing import Any, Literal, Protocol, Self, TypeAlias

from servers.server import HOST, Server, free_port

Way: TypeAlias = Literal["to server", "to client"]
COMMIT = b"COMMIT\0"
"""PostgreSQL's, as a query of its own: ``ON COMMIT DROP`` is none."""
MYSQL_COMMIT = b"\x03COMMIT"

_RESET = struct.pack("ii", 1, 0)
_CHUNK = 1 << 16


class Fault(Protocol):
    """What goes wrong with a connection."""

    reset: bool
    """Whether it ends as if it never was (RST), or as if the other side closed it (FIN)."""

    def see(self, link: Link, way: Way, data: bytes) -> tuple[bytes, bool]:
        """What of the data passes, and whether the connection ends after it."""


class CutAfter:
    """Cuts the connection that carries the first byte too many, counted over all of them."""

    def __init__(self, size: int, way: Way, *, reset: bool = False) -> None:
        self._left = size
        self._way = way
        self.reset = reset

    def see(self, link: Link, way: Way, data: bytes) -> tuple[bytes, bool]:
        if way != self._way:
            return data, False
        passed = data[: self._left]
        self._left -= len(passed)
        return passed, len(passed) < len(data)


class LoseMessage:
    """Cuts a connection just before the server gets a message with these bytes."""

    def __init__(self, token: bytes, *, reset: bool = False) -> None:
        self._token = token.upper()
        self._tails: dict[Link, bytes] = {}
        self.reset = reset

    def see(self, link: Link, way: Way, data: bytes) -> tuple[bytes, bool]:
        found = way == "to server" and self._finds(link, data)
        return (b"", True) if found else (data, False)

    def _finds(self, link: Link, data: bytes) -> bool:
        seen = self._tails.get(link, b"") + data.upper()
        self._tails[link] = seen[-len(self._token) :]
        return self._token in seen


class LoseAnswer(LoseMessage):
    """Cuts a connection after the server answered a message with these bytes: nobody hears it."""

    _asked: Link | None = None

    def see(self, link: Link, way: Way, data: bytes) -> tuple[bytes, bool]:
        if way == "to client" and link is self._asked:
            return b"", True
        if way == "to server" and self._asked is None and self._finds(link, data):
            self._asked = link
        return data, False


class Link:
    """A client's connection and the one to the server that stands for it."""

    def __init__(self, client: StreamWriter, server: StreamWriter) -> None:
        self.ends: dict[Way, StreamWriter] = {"to client": client, "to server": server}
        for end in self.ends.values():
            end.transport.set_write_buffer_limits(0)  # what is drained is sent

    def cut(self, *, reset: bool) -> None:
        for end in self.ends.values():
            if reset and not end.is_closing():
                _socket(end).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()


class Proxy:
    """Stands before a server of the tests at a port of its own, as a context manager."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._links: dict[Link, asyncio.Task[Any]] = {}
        self._fault: Fault | None = None
        self._listener: asyncio.Server | None = None
        self._opening: asyncio.TimerHandle | None = None
        self.port = free_port()
        self.delay = 0.0
        """Seconds that each piece of at most 64 KiB waits."""
        self.happened = False
        """Whether the fault that was armed last has happened."""
        self.passed: Counter[Way] = Counter()
        """Bytes, so that a test knows where to cut."""

    def arm(self, fault: Fault) -> None:
        """Let a fault happen once."""
        self.happened = False
        self._fault = fault

    def cut(self, *, reset: bool = False) -> None:
        """Cut all connections now."""
        self._do(self._cut_all(reset))

    def refuse(self, seconds: float) -> None:
        """Cut all connections, and take none for a while."""
        self._do(self._refuse(seconds))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, HOST, self.port)

    async def _refuse(self, seconds: float) -> None:
        if self._listener is not None:
            self._listener.close()
        await self._cut_all(reset=False)
        if self._opening is not None:
            self._opening.cancel()
        self._opening = self._loop.call_later(seconds, self._open_again)

    def _open_again(self) -> None:
        self._reopened = self._loop.create_task(self._listen())

    async def _cut_all(self, reset: bool) -> None:
        for link in self._links:
            link.cut(reset=reset)
        await asyncio.gather(*self._links.values())

    async def _serve(self, reader: StreamReader, client: StreamWriter) -> None:
        try:
            await self._greet(reader, client)
            server_reader, server = await asyncio.open_connection(HOST, self._server_port)
        except (OSError, EOFError):  # the server is away, which the client is to see
            client.transport.abort()
            return
        link = Link(client, server)
        both = asyncio.gather(
            self._pump(link, reader, "to server"), self._pump(link, server_reader, "to client")
        )
        task = self._links[link] = asyncio.ensure_future(both)
        await task
        del self._links[link]

    async def _greet(self, reader: StreamReader, client: StreamWriter) -> None:
        """Say to the client what the server does not."""

    async def _pump(self, link: Link, reader: StreamReader, way: Way) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                passed, over = self._see(link, way, data)
                link.ends[way].write(passed)
                await link.ends[way].drain()
                self.passed[way] += len(passed)
                if over is not None:
                    link.cut(reset=over.reset)
        except OSError:  # one of both sides is gone, so is the link
            pass
        link.cut(reset=False)

    def _see(self, link: Link, way: Way, data: bytes) -> tuple[bytes, Fault | None]:
        fault = self._fault
        if fault is None:
            return data, None
        passed, over = fault.see(link, way, data)
        if not over:
            return passed, None
        self._fault, self.happened = None, True
        return passed, fault

    async def _close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self._listener is not None:
            self._listener.close()
        await self._cut_all(reset=False)
        await asyncio.sleep(0)  # transports close in the next round

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class TlsProxy(Proxy):
    """Speaks PostgreSQL's TLS to clients, and plainly to a server that knows none.

    Args:
        server: Its certificate is shown.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server.port)
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(server.folder / "server.pem", server.folder / "server.key")

    async def _greet(self, reader: StreamReader, client: StreamWriter) -> None:
        # https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest
        if await reader.readexactly(8) != struct.pack("!ii", 8, 80877103):
            raise EOFError("this server is spoken to by TLS only")
        client.write(b"S")
        await client.start_tls(self._tls)


def _socket(writer: StreamWriter) -> Any:
    return writer.get_extra_info("socket")
