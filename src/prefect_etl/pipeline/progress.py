"""What a run tells while it works, for whoever shows it."""

from __future__ import annotations

from typing import Literal, Protocol

Stage = Literal["extract", "load", "transform"]


class Progress(Protocol):
    """Told of every stage of every dataset and transformation; called from several threads."""

    def started(self, stage: Stage, name: str, total_bytes: int) -> None:
        """A stage begins; ``total_bytes`` at the source, 0 where unknown."""
        ...

    def advanced(self, stage: Stage, name: str, bytes_done: int, rows_done: int) -> None:
        """So many bytes and rows more are done."""
        ...

    def finished(self, stage: Stage, name: str, rows: int, seconds: float) -> None:
        """A stage is over, also where it failed."""
        ...


class Silent:
    """Shows nothing."""

    def started(self, stage: Stage, name: str, total_bytes: int) -> None:
        """Show nothing."""

    def advanced(self, stage: Stage, name: str, bytes_done: int, rows_done: int) -> None:
        """Show nothing."""

    def finished(self, stage: Stage, name: str, rows: int, seconds: float) -> None:
        """Show nothing."""
