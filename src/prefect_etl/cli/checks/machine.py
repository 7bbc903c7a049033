"""Checks of the machine: versions, memory, disk."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from prefect_etl.cli.checks.finding import Check
from prefect_etl.reporting.numbers import size

_SHOWN = ("prefect", "duckdb", "pyarrow", "polars", "pandas")
_LITTLE_DISK, _NO_DISK = 5_000_000_000, 200_000_000
# What the process needs beside the engine's limit: Python, Prefect, Arrow buffers.
_BESIDE = 250_000_000


def check_versions() -> Iterable[Check]:
    """Python, and the packages that ours depends on."""
    python = ".".join(map(str, sys.version_info[:3]))
    shown = ", ".join(f"{name} {version(name)}" for name in _SHOWN)
    yield Check("versions", "ok", f"Python {python}, {shown}")
    wrong = wrong_packages(requires("prefect-etl") or [])
    if wrong:
        yield Check(
            "packages",
            "fail",
            "; ".join(wrong),
            "Install them anew: pip install --upgrade prefect-etl",
        )


def wrong_packages(requirements: Iterable[str]) -> list[str]:
    """Requirements that are not met, in words; those of extras are left out.

    Example:
        >>> wrong_packages(["duckdb>=1", "pytest; extra == 'dev'", "no-such-package-here"])
        ['no-such-package-here is missing']
    """
    from packaging.requirements import Requirement

    wrong = []
    for text in requirements:
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(needed.name)
        except PackageNotFoundError:
            wrong.append(f"{needed.name} is missing")
            continue
        if not needed.specifier.contains(found, prereleases=True):
            wrong.append(f"{needed.name} is {found}, needed is {needed.specifier}")
    return wrong


def check_memory(limit: str, physical: int | None = None) -> Check:
    """Whether the engine's limit fits the machine.

    Args:
        limit: As DuckDB spells sizes.
        physical: Bytes of the machine; asked of it if None.

    Example:
        >>> check_memory("8GiB", physical=4_000_000_000).status
        'warn'
    """
    if physical is None:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    detail = f"limit {limit} of {size(physical)}"
    if memory_bytes(limit) + _BESIDE <= physical:
        return Check("memory", "ok", detail)
    mend = "Set PREFECT_ETL_MEMORY_LIMIT lower; what does not fit goes to disk."
    return Check("memory", "warn", detail, mend)


def memory_bytes(limit: str) -> int:
    """Bytes of a size as DuckDB spells it.

    Example:
        >>> memory_bytes("1GiB"), memory_bytes("1.5 MB")
        (1073741824, 1500000)
    """
    from pydantic import ByteSize, TypeAdapter

    return int(TypeAdapter(ByteSize).validate_python(limit))


def check_disk(folder: Path) -> Check:
    """Whether the folder of raw zone and reports can be written and has room."""
    place = existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        mend = "Make it writable, or set PREFECT_ETL_DATA_DIR to another folder."
        return Check("disk", "fail", f"{place} cannot be written: {error.strerror}", mend)
    free = shutil.disk_usage(place).free
    detail = f"{folder}: {size(free)} free"
    if free < _NO_DISK:
        return Check("disk", "fail", detail, "Free disk space; a run cannot keep what it reads.")
    if free < _LITTLE_DISK:
        return Check("disk", "warn", detail, "A run keeps what it reads here; free some space.")
    return Check("disk", "ok", detail)


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
