"""One client of the API for many tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.context import SyncClientContext


@contextmanager
def shared_client() -> Iterator[None]:
    """Let all tasks that are called within, also in threads, talk to the API by one client.

    Each task would make a client of its own, of which reading the certificates alone takes 30 ms.
    """
    with SyncClientContext.get_or_create():
        yield
