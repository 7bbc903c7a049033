"""The outermost layer of the server: who it is, whom it answers, and when it was last used."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from prefect_etl.orchestration.server.probe import HEALTH_PATH, IDENTITY_PATH

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


_OWN_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


def is_foreign(scope: Scope) -> bool:
    """Whether a browser sends a request for another site's page, or by another name.

    Example:
        >>> is_foreign({"headers": [(b"host", b"127.0.0.1:4200")]})
        False
        >>> is_foreign({"headers": [(b"host", b"evil.example:4200")]})
        True
        >>> is_foreign({"headers": [(b"host", b"localhost:4200"), (b"origin", b"http://a.b")]})
        True
    """
    headers = dict(scope.get("headers") or ())
    named = ((b"host", b"//"), (b"origin", b""))
    urls = [before + headers[name] for name, before in named if name in headers]
    return any(_host(url.decode("latin-1")) not in _OWN_NAMES for url in urls)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"this server answers its own machine\n"})


class Activity:
    """An ASGI app around Prefect's that answers for its identity and notes every use.

    An open request or websocket is use for as long as it is open; a running flow keeps a
    websocket open for its events, so a long quiet task does not lose its server. A visible page
    of the UI asks again and again, and is use too. Questions about health are not.

    The server has no password, and Prefect answers any page: what a browser sends for a page of
    another site is refused, and so is what was sent to another name than this machine's own.

    Args:
        app: Prefect's app.
        token: What tells this server from any other on the same port.
    """

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._token = token
        self._open = 0
        self._last_use = time.monotonic()
        self._unavailable = 0
        self._closing = False

    def close(self) -> None:
        """Answer for nothing any more: who asks now starts a new server when this one is gone."""
        self._closing = True

    def touch(self) -> None:
        """Note a use just now."""
        self._last_use = time.monotonic()

    def idle_seconds(self) -> float:
        """Seconds since the last use ended; 0 while something is open."""
        return 0.0 if self._open else time.monotonic() - self._last_use

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to Prefect's app, or answer the one about identity."""
        if scope["type"] == "lifespan" or scope["path"] == HEALTH_PATH:
            await self._app(scope, receive, send)
        elif is_foreign(scope):
            await _refuse(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == IDENTITY_PATH:
            await self._identify(scope["method"], send)
        else:
            await self._use(scope, receive, send)

    async def _use(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 503:
                self._unavailable += 1
            await send(message)

        self._open += 1
        try:
            await self._app(scope, receive, counting)
        finally:
            self._open -= 1
            self.touch()

    async def _identify(self, method: str, send: Send) -> None:
        if method == "POST":
            self.touch()
        facts = {
            "token": self._token,
            "pid": os.getpid(),
            "idle_seconds": round(self.idle_seconds(), 3),
            "answers_503": self._unavailable,
        }
        headers = [(b"content-type", b"application/json")]
        status = 503 if self._closing else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(facts).encode()})
