"""What became of each partition."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from prefect_etl.errors import ConfigError, PartitionsFailedError

if TYPE_CHECKING:
    from collections.abc import Coroutine

R = TypeVar("R")
_NAMED = 3


@dataclass(frozen=True, slots=True)
class PartitionResult(Generic[R]):
    """One partition's value or failure.

    Attributes:
        index: Its place among the partitions, from 0.
        partition: What it was: a ``RowRange``, a group's key, a file; None for other values.
        status: Whether it gave a value.
        value: What the task returned; None if it failed.
        error: What its last attempt raised; None if it completed.
        attempts: Calls of the task's function; 0 if it was never called.
        duration: Seconds from the first attempt's start to the last one's end, waits included.
        reused: The value is an earlier run's, from the record or the task's cache.
    """

    index: int
    partition: Any
    status: Literal["completed", "failed"]
    value: R | None = None
    error: BaseException | None = None
    attempts: int = 1
    duration: float = 0.0
    reused: bool = False

    @property
    def ok(self) -> bool:
        """Whether it completed."""
        return self.status == "completed"

    @property
    def name(self) -> str:
        """For messages: its number, and what it was."""
        if self.partition is None:
            return f"partition {self.index}"
        return f"partition {self.index} ({self.partition})"


class PartitionResults(Sequence[PartitionResult[R]]):
    """The results of :func:`map_partitions`, in the order of the partitions.

    In async code they are there once they are awaited.
    """

    def __init__(
        self,
        results: Iterable[PartitionResult[R]] = (),
        *,
        coming: Coroutine[Any, Any, list[PartitionResult[R]]] | None = None,
    ) -> None:
        self._results = list(results)
        self._coming = coming
        self._there = coming is None

    def __await__(self) -> Generator[Any, None, PartitionResults[R]]:
        """Wait for the results."""
        if self._coming is not None:
            coming, self._coming = self._coming, None
            self._results = yield from coming.__await__()
            self._there = True
        return self

    def values(self) -> list[R]:
        """The values of all partitions, in order.

        Raises:
            PartitionsFailedError: There are failures, which have no value.
        """
        if self.failed:
            raise failure(self, len(self.failed))
        return [result.value for result in self._ready()]  # type: ignore[misc]

    @property
    def completed(self) -> list[PartitionResult[R]]:
        """Those with a value."""
        return [result for result in self if result.ok]

    @property
    def failed(self) -> list[PartitionResult[R]]:
        """Those with an error."""
        return [result for result in self if not result.ok]

    @overload
    def __getitem__(self, index: int) -> PartitionResult[R]: ...

    @overload
    def __getitem__(self, index: slice) -> list[PartitionResult[R]]: ...

    def __getitem__(self, index: int | slice) -> PartitionResult[R] | list[PartitionResult[R]]:
        """A partition's result."""
        return self._ready()[index]

    def __len__(self) -> int:
        return len(self._ready())

    def __repr__(self) -> str:
        if not self._there:
            return "<PartitionResults, not awaited>"
        return f"<PartitionResults: {len(self)}, {len(self.failed)} failed>"

    def _ready(self) -> list[PartitionResult[R]]:
        if not self._there:
            raise ConfigError(
                "map_partitions was called in async code and not awaited",
                hint="Write `await map_partitions(...)`.",
            )
        return self._results


def failure(results: PartitionResults[Any], failed: int) -> PartitionsFailedError:
    """The error that says how many failed, and how the first of them."""
    first = [f"{result.name}: {_brief(result.error)}" for result in results.failed[:_NAMED]]
    more = "" if failed <= _NAMED else f"; and {failed - _NAMED} more"
    return PartitionsFailedError(
        f"{failed} of {len(results)} partitions failed: {'; '.join(first)}{more}",
        hint="Mend the cause and run again; with record= only these run again.",
        results=results,
    )


def _brief(error: BaseException | None) -> str:
    text = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
