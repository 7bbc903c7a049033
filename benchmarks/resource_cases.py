"""What a `with` costs: ours beside the standard library's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Program
from benchmarks.result import Result, Target

if TYPE_CHECKING:
    from benchmarks.cases import Bench

_FIGURES = (
    "contextmanager",
    "ours, plain functions",
    "ours, plain with over async",
    "ours, with a lease",
    "asynccontextmanager",
    "ours, async with over async",
    "sqlite3 in to_thread",
    "DatabaseConnection",
    "shared, with",
    "shared, async with",
    "shared with a limit",
)


def resources(bench: Bench) -> Result:
    """Processor time of one `with` of each kind."""
    name = "a `with` of each kind"
    argv = bench.place.python("resources")
    env = {"PREFECT_API_URL": bench.server.url}
    found = bench.measure(Program(name, argv, bench.folder("resources"), env=env))
    cost = {figure: found[name].figure(figure) for figure in _FIGURES}
    ratio = cost["DatabaseConnection"] / cost["sqlite3 in to_thread"]
    shared = cost["shared, with"] / cost["DatabaseConnection"]
    return Result(
        "resources: processor time of one `with`",
        found,
        (
            Target("DatabaseConnection / sqlite3 in to_thread", ratio, 2.0, "x"),
            Target("shared, once it is open / a connection of its own", shared, 0.1, "x"),
        ),
        tuple(f"{figure:<32} {cost[figure]:9.1f} us" for figure in _FIGURES),
    )
