"""A password before the Prometheus endpoint, by HTTP's basic authentication (RFC 7617)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from hmac import compare_digest
from typing import Any

from pydantic import SecretStr

USER = "prefect-etl"
App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def guarded(app: App, password: SecretStr) -> App:
    """A WSGI app that answers only who gives the password.

    Args:
        app: What it guards.
        password: Of the user ``prefect-etl``.
    """
    wanted = b64encode(f"{USER}:{password.get_secret_value()}".encode())

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        kind, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        # In a time that does not tell how much of it was right.
        if kind.lower() == "basic" and compare_digest(given.strip().encode(), wanted):
            return app(environ, start_response)
        start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="metrics"')])
        return [b"a password is needed\n"]

    return answer
