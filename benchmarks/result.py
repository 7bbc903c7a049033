"""What a benchmark found: targets with their figures, as a table and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measure import Medians

_WIDTH = 58


@dataclass(frozen=True)
class Target:
    """A promise and what was measured.

    Attributes:
        what: The promise in words, with how its limit is made.
        actual: What was measured.
        limit: It should not be more than this.
        unit: Of both: ``s``, ``MB``, or ``x`` for a ratio.
    """

    what: str
    actual: float
    limit: float
    unit: str = "s"

    @property
    def met(self) -> bool:
        """Whether it was kept."""
        return self.actual <= self.limit

    @property
    def verdict(self) -> str:
        """Met, or missed by how much."""
        if self.met:
            return "met"
        return f"missed by {_shown(self.actual - self.limit, self.unit)}"


@dataclass(frozen=True)
class Result:
    """What one case found."""

    title: str
    medians: Mapping[str, Medians]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        programs = {
            name: {
                "seconds": found.seconds,
                "cpu_seconds": found.cpu,
                "peak_megabytes": found.megabytes,
                "samples": [asdict(sample) for sample in found.samples],
            }
            for name, found in self.medians.items()
        }
        targets = [asdict(t) | {"met": t.met} for t in self.targets]
        return {
            "title": self.title,
            "programs": programs,
            "targets": targets,
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """As a table for people."""
        lines = [self.title]
        first = next(iter(self.medians.values()), None)
        for name, found in self.medians.items():
            ratio = found.seconds / first.seconds if first else 1.0
            lines.append(
                f"  {name:<{_WIDTH}} {found.seconds:8.2f} s {ratio:6.2f} x "
                f"{found.cpu:8.2f} s cpu {found.megabytes:7.0f} MB"
            )
        lines += [f"  {note}" for note in self.notes]
        for t in self.targets:
            figures = f"{_shown(t.actual, t.unit):>10} of {_shown(t.limit, t.unit):<10}"
            lines.append(f"  > {t.what:<{_WIDTH - 2}} {figures} {t.verdict}")
        return lines


def _shown(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if unit == "MB" else f"{value:.2f} {unit}"


def write_results(path: Path, results: Sequence[Result], runs: int) -> None:
    """Write everything that was measured."""
    data = {
        "runs": runs,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "cases": [result.as_dict() for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
