"""Memory and processor time of this process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from time import process_time

_PAGE = resource.getpagesize()
_UNIT = 1 if sys.platform == "darwin" else 1024
_STATM = Path("/proc/self/statm")


class Usage:
    """What the process used from here on, with the processes that it started and waited for.

    Of several runs at once in a process each has the whole.
    """

    def __init__(self) -> None:
        self._cpu = _cpu_seconds()
        self._before = _greatest()
        self._seen = 0
        self.look()

    def look(self) -> None:
        """Note the memory of this moment."""
        try:
            resident = int(_STATM.read_bytes().split()[1]) * _PAGE
        except OSError:  # no Linux: the greatest of the process' life is all there is
            resident = _greatest()
        self._seen = max(self._seen, resident)

    @property
    def peak_bytes(self) -> int:
        """The most memory since the start: exact where it was the most of the process' life."""
        self.look()
        greatest = _greatest()
        return greatest if greatest > self._before else self._seen

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds since the start."""
        return _cpu_seconds() - self._cpu


def _greatest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime
