"""Runs whole programs and measures them from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

_SHOWN = 25
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Program:
    """A program to measure.

    Attributes:
        name: What the table calls it.
        argv: What to run.
        folder: Its working folder; emptied before each run unless ``keep``.
        keep: Leave what earlier runs left.
        before: Makes what it needs; not measured.
        env: Environment variables of its own.
    """

    name: str
    argv: Sequence[str]
    folder: Path
    keep: bool = False
    before: Callable[[Path], None] | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """One run of a program: wall and processor seconds, peak memory in MB, figures it printed."""

    seconds: float
    cpu: float
    megabytes: float
    figures: Mapping[str, float]


class ProgramFailedError(Exception):
    """A measured program failed, so there is nothing to compare."""


def run(program: Program, env: Mapping[str, str]) -> Sample:
    """Run a program once.

    Raises:
        ProgramFailedError: Its exit code is not 0.
    """
    _make(program)
    output = program.folder.with_suffix(".out")
    os.sync()  # what the last program wrote is not this one's to wait for
    with output.open("wb") as stream:
        started = time.perf_counter()
        child = subprocess.Popen(
            program.argv,
            cwd=program.folder,
            env={**env, **program.env},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    printed = output.read_text(encoding="utf-8", errors="replace").splitlines()
    if child.returncode != 0:
        tail = "\n".join(printed[-_SHOWN:])
        raise ProgramFailedError(f"{program.name} ended with {child.returncode}:\n{tail}")
    # Linux counts kilobytes, macOS bytes.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(seconds, cpu, peak / _MEGABYTE, _figures(printed))


def _make(program: Program) -> None:
    if not program.keep:
        subprocess.run(["rm", "-rf", str(program.folder)], check=True)
    program.folder.mkdir(parents=True, exist_ok=True)
    if program.before is not None:
        program.before(program.folder)


def _figures(printed: Sequence[str]) -> dict[str, float]:
    last = printed[-1] if printed else ""
    if not last.startswith("{") or not last.endswith("}"):
        return {}
    found = json.loads(last)
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


@dataclass(frozen=True)
class Medians:
    """The medians of a program's samples."""

    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        """Wall time."""
        return median(sample.seconds for sample in self.samples)

    @property
    def cpu(self) -> float:
        """Processor time of all threads: what a busy machine changes least."""
        return median(sample.cpu for sample in self.samples)

    @property
    def megabytes(self) -> float:
        """Peak memory: the highest, not the median, because the promise is a bound."""
        return max(sample.megabytes for sample in self.samples)

    def figure(self, name: str) -> float:
        """A figure that the program printed itself."""
        return median(sample.figures[name] for sample in self.samples)


def in_turn(
    programs: Sequence[Program], runs: int, env: Mapping[str, str], tell: Callable[[str], None]
) -> dict[str, Medians]:
    """Run each program in turn, so that what slows the machine down slows all of them.

    Raises:
        ProgramFailedError: One of them failed.
    """
    samples: dict[str, list[Sample]] = {program.name: [] for program in programs}
    for number in range(1, runs + 1):
        for program in programs:
            sample = run(program, env)
            samples[program.name].append(sample)
            tell(
                f"  {number}/{runs} {program.name:<34} {sample.seconds:7.2f} s  "
                f"processor {sample.cpu:6.2f} s  {sample.megabytes:6.0f} MB"
            )
    return {name: Medians(tuple(found)) for name, found in samples.items()}
