"""What a user says of a map, checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import ConfigError

_MOST_AT_ONCE = 32


class MapOptions(TypedDict, total=False):
    """The options of :func:`map_partitions`."""

    partition_size: int | None
    partition_bytes: int | None
    partitions: int | None
    by: str | Sequence[str] | None
    max_concurrency: int | None
    min_success_ratio: float
    record: str | Path | bool | None
    arguments: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Options:
    """Checked options, with their defaults; see :func:`map_partitions`."""

    size: int | None = None
    nbytes: int | None = None
    parts: int | None = None
    by: tuple[str, ...] = ()
    concurrency: int = 1
    ratio: float = 1.0
    record: str | Path | bool | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unsaid(self) -> bool:
        """Whether nothing says how to cut."""
        return self.size is None and self.nbytes is None and self.parts is None and not self.by


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked(given: MapOptions) -> Options:
    """The options with their defaults.

    Raises:
        ConfigError: They contradict each other or are out of range; all faults at once.
    """
    by = given.get("by") or ()
    faults = _faults(given)
    if faults:
        raise ConfigError("map_partitions: " + "; ".join(faults))
    return Options(
        size=given.get("partition_size"),
        nbytes=given.get("partition_bytes"),
        parts=given.get("partitions"),
        by=(by,) if isinstance(by, str) else tuple(by),
        concurrency=given.get("max_concurrency") or min(_MOST_AT_ONCE, cores() + 4),
        ratio=given.get("min_success_ratio", 1.0),
        record=given.get("record"),
        arguments=given.get("arguments") or {},
    )


def _faults(given: MapOptions) -> list[str]:
    known = MapOptions.__annotations__
    faults = [
        f"there is no option {name}{did_you_mean(name, known)}" for name in given.keys() - known
    ]
    cuts = ("partition_size", "partition_bytes", "partitions", "by")
    said = [name for name in cuts if given.get(name) is not None]
    if len(said) > 1:
        faults.append(f"give one of {', '.join(said)}, not {len(said)}")
    for name in ("partition_size", "partition_bytes", "partitions", "max_concurrency"):
        value = given.get(name)
        if value is not None and not (_is_whole(value) and value >= 1):  # type: ignore[operator]
            faults.append(f"{name} should be a whole number from 1, not {value!r}")
    ratio = given.get("min_success_ratio", 1.0)
    if isinstance(ratio, bool) or not (isinstance(ratio, int | float) and 0 <= ratio <= 1):
        faults.append(f"min_success_ratio should be a number from 0 to 1, not {ratio!r}")
    if given.get("record") is True:
        faults.append("record should be a name, a Path or False, not True")
    if given.get("by") is not None and not given["by"]:
        faults.append("by should name a column")
    return faults


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
