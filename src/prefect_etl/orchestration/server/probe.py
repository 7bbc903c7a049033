"""Ask a local port whether our server answers there.

A socket and a few lines: an HTTP library would take longer to import than the question takes.
"""

from __future__ import annotations

import json
import socket

HOST = "127.0.0.1"
IDENTITY_PATH = "/.prefect-etl/identity"
HEALTH_PATH = "/api/health"
MAX_REPLY = 65_536


def identity(port: int, timeout: float, *, touch: bool = False) -> dict[str, object] | None:
    """What the server on this port says of itself, or None.

    Args:
        port: The port on the loopback address.
        timeout: Seconds to wait for the answer.
        touch: Count the question as use, so that an idle server does not stop just then.
    """
    body = _request("POST" if touch else "GET", IDENTITY_PATH, port, timeout)
    try:
        answer = json.loads(body) if body else None
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def is_healthy(port: int, timeout: float) -> bool:
    """Whether Prefect's API on this port answers that it is well."""
    return _request("GET", HEALTH_PATH, port, timeout) == b"true"


def _request(method: str, path: str, port: int, timeout: float) -> bytes | None:
    # HTTP/1.0: the reply ends where the connection ends, and is never chunked.
    head = f"{method} {path} HTTP/1.0\r\nHost: {HOST}:{port}\r\nContent-Length: 0\r\n\r\n"
    reply = b""
    try:
        with socket.create_connection((HOST, port), timeout=timeout) as connection:
            connection.sendall(head.encode("ascii"))
            while len(reply) < MAX_REPLY and (part := connection.recv(MAX_REPLY)):
                reply += part
    except OSError:
        return None
    status, _, rest = reply.partition(b"\r\n")
    if b" 200 " not in status + b" ":
        return None
    return rest.partition(b"\r\n\r\n")[2]
