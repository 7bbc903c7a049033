"""Decides which transformations have to run, and says why."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from prefect_etl.core.plan import TransformationPlan
from prefect_etl.core.warehouse import Read, Snapshot, TransformationState
from prefect_etl.pipeline.transform.prepared import Dependency, Prepared

_WORDS = {
    "sql": "its SQL changed",
    "function": "its function changed",
    "parameters": "its parameters changed",
    "key": "its key changed",
    "checks": "its checks changed",
}


def plan_transformations(
    prepared: Sequence[Prepared],
    snapshot: Snapshot,
    will_change: Collection[str] = (),
    *,
    refresh: bool = False,
) -> list[TransformationPlan]:
    """Decide what a run would do with transformations.

    Args:
        prepared: In the order in which they run.
        snapshot: What the destination holds.
        will_change: Names of datasets and transformations whose tables the run changes before.
        refresh: Build all of them anew.
    """
    changing = set(will_change)
    plans = []
    for part in prepared:
        plan = _plan(part, snapshot, changing, refresh=refresh)
        plans.append(plan)
        if plan.action == "run":
            changing.add(part.name)
    return plans


def _plan(
    part: Prepared, snapshot: Snapshot, changing: Collection[str], *, refresh: bool
) -> TransformationPlan:
    reads = tuple(dict.fromkeys(read.label for read in part.reads))
    obstacle = snapshot.obstacle(part.table, part.pipeline)
    if obstacle is not None:
        return TransformationPlan(part.name, part.label, "blocked", (obstacle,), reads)
    state = snapshot.transformations.get(part.table)
    reasons = ["full refresh"] if refresh else []
    if state is None:
        reasons.append("first build")
    else:
        reasons += _own_changes(part, snapshot, state)
        reasons += _read_changes(part, snapshot, state, changing)
    if reasons:
        return TransformationPlan(part.name, part.label, "run", tuple(reasons), reads)
    unchanged = "nothing that it reads changed" if reads else "it reads nothing"
    return TransformationPlan(part.name, part.label, "skip", (unchanged,), reads)


def _own_changes(part: Prepared, snapshot: Snapshot, state: TransformationState) -> list[str]:
    reasons = []
    wanted = "view" if state.kind == "view" else "table"
    present = snapshot.tables.get(part.table)
    if present is None:
        reasons.append(f"its {wanted} is gone")
    elif present != wanted:
        reasons.append(f"its {wanted} was replaced by a {present}")
    before, now = state.fingerprint, part.fingerprint
    if before.get("kind") != now["kind"]:
        reasons.append(f"its kind changed: {before.get('kind')} -> {now['kind']}")
    changed = [name for name in _WORDS if name in now and before.get(name) != now[name]]
    return reasons + [_WORDS[name] for name in changed]


def _read_changes(
    part: Prepared, snapshot: Snapshot, state: TransformationState, changing: Collection[str]
) -> list[str]:
    seen = {read.table: read for read in state.reads}
    reasons = []
    for read in {read.table: read for read in part.reads}.values():
        reason = _read_change(read, snapshot, seen.get(read.table), changing)
        if reason:
            reasons.append(reason)
    return reasons


def _read_change(
    read: Dependency, snapshot: Snapshot, seen: Read | None, changing: Collection[str]
) -> str | None:
    if read.label in changing:
        return f"{read.label} changes in this run"
    if seen is None:
        return f"it reads {read.label} now"
    version = snapshot.version(read.table)
    if version is None or seen.version is None:
        return f"{read.label} is not made by a pipeline, so it may have changed"
    if version.history != seen.version.history:
        return f"{read.label} was made anew"
    if version.number != seen.version.number:
        return f"{read.label} changed: version {seen.version.number} -> {version.number}"
    return None
