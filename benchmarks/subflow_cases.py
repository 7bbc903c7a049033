"""What a subflow costs over Prefect's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Program
from benchmarks.result import Result, Target

if TYPE_CHECKING:
    from benchmarks.cases import Bench

_ALLOWED_MS = 20
_COUNT = 30
_SHOWN = {
    "theirs": "Prefect's, async",
    "ours": "ours, async",
    "retried_ours": "ours, async, under a parent with retries",
    "frame": "ours, async, with a frame of 100 MB",
    "retried_frame": "ours, the same under a parent with retries",
    "theirs_sync": "Prefect's, sync",
    "ours_sync": "ours, sync",
}


def subflows(bench: Bench) -> Result:
    """Empty subflows, ours beside Prefect's."""
    program = Program(
        "empty subflows",
        bench.place.python("subflows", str(_COUNT)),
        bench.folder("subflows"),
        env={"PREFECT_API_URL": bench.server.url, "PREFECT_LOGGING_LEVEL": "WARNING"},
    )
    found = bench.measure(program)
    figure = found["empty subflows"].figure
    notes = [
        f"{shown:<46} {figure(f'{name}_ms'):8.1f} ms {figure(f'{name}_cpu_ms'):8.1f} ms cpu"
        for name, shown in _SHOWN.items()
    ]
    limit = (figure("theirs_ms") + _ALLOWED_MS) / 1000
    targets = [
        Target(f"{what}: Prefect's async + {_ALLOWED_MS} ms", figure(f"{name}_ms") / 1000, limit)
        for name, what in (("ours", "async"), ("retried_ours", "retried"), ("ours_sync", "sync"))
    ]
    return Result("empty subflows, warm server", found, targets, notes)
