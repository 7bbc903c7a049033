"""How much a file may become when it is unpacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from prefect_etl.errors import SourceReadError

WINDOW = 1 << 20
# More than anything honest: text packs to some hundredths, and only gzip of zeros to a thousandth.
MOST_BYTES = 10 << 30
MOST_TIMES = 1000
# A file that becomes no larger than this may be packed as well as it likes.
_HARMLESS = 100 << 20


class Allowance:
    """What may still come out of one file.

    Args:
        name: The file, for messages.
        packed: Its size in bytes.
        limited: Whether there is a limit at all; not for what a user declares ``trusted``.

    Example:
        >>> Allowance("bomb.gz", packed=1000).take(200 << 20)
        Traceback (most recent call last):
            ...
        prefect_etl.errors.SourceReadError: bomb.gz holds more than 1000 times its size: unpacking \
it was given up after 209,715,200 bytes
        If it is what it should be, say trusted: true; else remove it.
    """

    def __init__(self, name: str, packed: int, *, limited: bool = True) -> None:
        self._name = name
        self._packed = packed
        self._limited = limited
        self._taken = 0

    def take(self, size: int) -> None:
        """Count bytes that came out.

        Raises:
            SourceReadError: They are too many.
        """
        self._taken += size
        if not self._limited or self._taken <= _HARMLESS:
            return
        too_many = self._taken > MOST_BYTES
        if too_many or self._taken > MOST_TIMES * self._packed:
            much = f"{MOST_BYTES >> 30} GiB" if too_many else f"{MOST_TIMES} times its size"
            raise SourceReadError(
                f"{self._name} holds more than {much}: unpacking it was given up after "
                f"{self._taken:,} bytes",
                hint="If it is what it should be, say trusted: true; else remove it.",
            )


def copied(
    stream: BinaryIO,
    write: Callable[[bytes], object],
    allowance: Allowance,
    window_bytes: int = WINDOW,
) -> int:
    """Pass on what comes out of a stream, a window at a time, and say how much it was."""
    size = 0
    while window := stream.read(window_bytes):
        allowance.take(len(window))
        write(window)
        size += len(window)
    return size
