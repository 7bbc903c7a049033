"""Who looks through all attached databases, so that none of them goes meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class CatalogLock:
    """Lets many threads look through a catalog, or one change which databases there are.

    DuckDB's catalog functions (``duckdb_tables()``, ``information_schema``) visit every attached
    database, and the transaction that asked holds on to each of them until it ends. A database
    that is detached in between still has its file, and cannot be attached again.

    Example:
        >>> lock = CatalogLock()
        >>> with lock.looking(), lock.alone():
        ...     print("no other thread looks")
        no other thread looks
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._lookers: Counter[int] = Counter()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """While it lasts no database goes, unless this thread itself detaches it."""
        me = threading.get_ident()
        with self._changed:
            self._lookers[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._lookers[me] -= 1
                self._lookers += Counter()  # drops who no longer looks
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other thread looks; none begins to before this ends."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not self._lookers.keys() - {me})
            yield
