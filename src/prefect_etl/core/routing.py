"""Where a dataset goes by its size, and why."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import Any

from prefect_etl.core.frames import bytes_of_frame, frame_kind, rows_of
from prefect_etl.errors import ConfigError

DEFAULT_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Size:
    """How large a dataset is, as far as it is known without reading it."""

    rows: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Route:
    """Where a dataset goes.

    Attributes:
        large: To where the large ones go.
        why: Its size beside the threshold.
    """

    large: bool
    why: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is larger than either is large.

    Args:
        rows: The most rows of a small dataset.
        bytes: The most bytes of a small one, in memory.

    Raises:
        ConfigError: A threshold is negative, or no whole number.

    Example:
        >>> Thresholds(rows=1000).route(Size(rows=2500, bytes=20_000))
        Route(large=True, why='2,500 rows > 1,000')
        >>> Thresholds(bytes=1_000_000).route(Size(rows=2500, bytes=20_000))
        Route(large=False, why='20,000 bytes <= 1,000,000')
    """

    rows: int | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        for name, limit in (("rows", self.rows), ("bytes", self.bytes)):
            if limit is not None and not isinstance(limit, int):
                raise ConfigError(
                    f"threshold_{name} is a whole number, not {limit!r}",
                    hint="Give a number, such as 1000.",
                )
            if limit is not None and limit < 0:
                raise ConfigError(
                    f"threshold_{name} is {limit}", hint="Give 0 to call all datasets large."
                )
        if self.rows is None and self.bytes is None:
            object.__setattr__(self, "rows", DEFAULT_ROWS)

    def route(self, size: Size) -> Route:
        """Where a dataset of that size goes; one of unknown size is large."""
        measures = [("rows", size.rows, self.rows), ("bytes", size.bytes, self.bytes)]
        asked = [(name, has, most) for name, has, most in measures if most is not None]
        for name, has, most in asked:
            if has is not None and has > most:
                return Route(large=True, why=f"{has:,} {name} > {most:,}")
        for name, has, _ in asked:
            if has is None:
                return Route(large=True, why=f"{name} not known without reading it")
        return Route(
            large=False,
            why=" and ".join(f"{has:,} {name} <= {most:,}" for name, has, most in asked),
        )


def size_of(data: Any) -> Size:
    """How large a dataset is.

    Frames and columns of pandas, Polars, Arrow, NumPy and narwhals; a reference that has ``rows``
    and ``bytes``; anything that has a length. A lazy frame is not computed: its size is not known.

    Raises:
        ConfigError: The value has no size at all.

    Example:
        >>> size_of([1, 2, 3])
        Size(rows=3, bytes=None)
    """
    if frame_kind(data) is not None:
        return Size(rows_of(data), bytes_of_frame(data))
    rows, in_bytes = getattr(data, "rows", None), getattr(data, "bytes", None)
    if isinstance(rows, int) or isinstance(in_bytes, int):
        return Size(
            rows if isinstance(rows, int) else None, in_bytes if isinstance(in_bytes, int) else None
        )
    if isinstance(data, (bytes, bytearray, memoryview)):
        return Size(rows=None, bytes=len(data))
    if isinstance(data, Sized):
        return Size(rows=len(data), bytes=None)
    raise ConfigError(
        f"a value of type {type(data).__name__} has no size to route it by",
        hint="Give a frame, a reference with rows and bytes, or anything that has a length.",
    )
