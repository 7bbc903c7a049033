"""How far a map is: a log line and Prefect's progress bar, every few seconds."""

from __future__ import annotations

import logging
import re
import time
from typing import Any, cast
from uuid import UUID

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

SECONDS = 5.0


class Progress:
    """Says how far it is, not more often than every five seconds; short maps say nothing.

    Args:
        name: Of the task.
        total: How many partitions there are; None if nobody knows.
        reused: How many of them came from the record.
    """

    def __init__(self, name: str, total: int | None, reused: int) -> None:
        self._name, self._total, self._reused = name, total, reused
        self._began = self._said = time.monotonic()
        self._artifact: UUID | None = None
        self._logger, self._shown = _logger()
        if reused:
            self._logger.info("%s: %s partitions are done already", name, f"{reused:,}")

    @property
    def due(self) -> float:
        """Seconds until there is something to say."""
        return max(SECONDS - (time.monotonic() - self._said), 0.01)

    def say(self, finished: int, failed: int, *, last: bool = False) -> None:
        """Say how far it is, if it is time.

        Args:
            finished: Partitions that were done in this call.
            failed: How many of them failed.
            last: No more will come.
        """
        now = time.monotonic()
        if not last and now - self._said < SECONDS:
            return
        if last and self._artifact is None and not failed:
            return  # it was short: Prefect shows the task runs
        self._said = now
        done = finished + self._reused
        of = "" if self._total is None else f" of {self._total:,}"
        rate = finished / max(now - self._began, 1e-3)
        level = logging.WARNING if failed and last else logging.INFO
        text = "%s: %s%s partitions done, %s failed, %.3g a second"
        self._logger.log(level, text, self._name, f"{done:,}", of, f"{failed:,}", rate)
        if self._total and self._shown:
            self._show(100 * done / self._total)

    def _show(self, percent: float) -> None:
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        # In an async flow they would give coroutines, also to another thread.
        create, update = (
            cast("Any", create_progress_artifact),
            cast("Any", update_progress_artifact),
        )
        try:
            if self._artifact is None:
                key = re.sub(r"[^a-z0-9]+", "-", f"partitions-{self._name}".lower()).strip("-")
                description = f"Partitions of {self._name}"
                self._artifact = create(percent, key, description, _sync=True)
            else:
                update(self._artifact, percent, _sync=True)
        except Exception:  # whatever Prefect's client raised: a picture must not fail the run
            self._shown = False
            self._logger.warning("the progress could not be shown in Prefect", exc_info=True)


def _logger() -> tuple[Any, bool]:
    """The run's logger, and whether there is a run, to which a progress bar can belong."""
    try:
        return get_run_logger(), True
    except MissingContextError:
        return logging.getLogger(__name__), False
