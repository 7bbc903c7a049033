"""What is open for one flow run, and its end: the last opened is closed first."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from prefect_etl.orchestration.resources.pool import Instance, Pool, Watch
from prefect_etl.utils.resources import ResourceManager
from prefect_etl.utils.resources.interrupts import waited

Logger = logging.Logger | logging.LoggerAdapter[Any]
# For a setup that cannot be stopped, and for a cleanup that another thread does.
_PASSING_SECONDS = 20.0


class RunScope:
    """The shared resources of one flow run in one process.

    Args:
        run: What it is the scope of, for messages.
        logger: Where failing cleanups are said.
    """

    def __init__(self, run: str, logger: Logger) -> None:
        self.run = run
        self._logger = logger
        self._watch = Watch()
        self._pools: dict[str, Pool[Any]] = {}
        self._ended = False
        self._closing = False

    @property
    def is_idle(self) -> bool:
        """Whether nobody uses what is open."""
        with self._watch.changed:
            return not (self._watch.opening or any(one.users for _, one in self._watch.open))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is open, and nothing is being closed."""
        with self._watch.changed:
            return not (self._watch.opening or self._watch.open or self._closing)

    def pool(
        self, key: str, name: str, make: Callable[[], ResourceManager[Any]], limit: int | None
    ) -> Pool[Any]:
        """The instances of one shared resource."""
        with self._watch.changed:
            if key not in self._pools:
                self._pools[key] = Pool(name, make, limit, self._watch)
            return self._pools[key]

    def user_left(self) -> None:
        """Close what waited for that, if the run is over."""
        if self._ended:
            self._close_unused(None)

    def end(self, first: BaseException | None, *, grace: float) -> None:
        """The run is over: close everything, the last opened first.

        What is still used is closed when its last user leaves.

        Args:
            first: The error that ends the run; failing cleanups are noted in it.
            grace: Seconds to wait for users that go on.
        """
        self._ended = True
        began = time.monotonic()
        while True:
            self._close_unused(first)
            with self._watch.changed:
                if self.is_empty:
                    return
                passing = self._watch.opening or self._closing
                seconds = _PASSING_SECONDS if passing else grace
                left = began + seconds - time.monotonic()
                if left <= 0 or not self._watch.changed.wait(left):
                    break
        self._logger.warning(
            "%s is over, and %s is still used: it is closed when its last user leaves",
            self.run,
            ", ".join(sorted({pool.name for pool, _ in self._watch.open})) or "a resource",
        )

    def _close_unused(self, first: BaseException | None) -> None:
        """Close from the top until something is used; an interruption is raised at the end."""
        interruption: BaseException | None = None
        self._stop_unwanted()
        while (taken := self._take_last()) is not None:
            pool, instance = taken
            try:
                instance.life.ask_to_close()
                waited(instance.life.closed)
            except BaseException as error:  # noqa: BLE001 - the others are closed first
                interruption = interruption or error
            finally:
                with self._watch.changed:
                    self._closing = False
                    self._watch.changed.notify_all()
            self._say_failure(pool, instance, first or interruption)
        if interruption is not None:
            raise interruption

    def _stop_unwanted(self) -> None:
        with self._watch.changed:
            for instance in self._watch.opening:
                if not instance.users:
                    instance.life.ask_to_close()

    def _take_last(self) -> tuple[Pool[Any], Instance[Any]] | None:
        with self._watch.changed:
            # One at a time, in order, although several users may leave at once.
            if self._closing or not self._watch.open or self._watch.open[-1][1].users:
                return None
            pool, instance = self._watch.open.pop()
            pool.forget(instance)
            self._closing = True
            return pool, instance

    def _say_failure(
        self, pool: Pool[Any], instance: Instance[Any], first: BaseException | None
    ) -> None:
        closed = instance.life.closed
        failed = closed.exception() if closed.done() else None
        if failed is None:
            return
        self._logger.error("the cleanup of %s failed", pool.name, exc_info=failed)
        if first is not None:
            first.add_note(f"The cleanup of {pool.name} failed, too: {failed!r}")
