"""Decides what a run does with a dataset: which units, from where, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prefect_etl.connectors.base import Previewing, Resuming, Source
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.manifest import LoadRecord, Manifest
from prefect_etl.core.plan import NOTHING_NEW, DatasetPlan
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Batch, Unit, is_replay
from prefect_etl.errors import ConfigError, EtlError, ReplayGapError, SchemaError
from prefect_etl.pipeline.prepare import evolution_of
from prefect_etl.pipeline.workspace import Workspace
from prefect_etl.storage.raw_zone import DatasetZone

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Differences:
    """How what a source has differs from what a table holds."""

    new: tuple[Unit, ...]
    changed: tuple[Unit, ...]
    removed: tuple[str, ...]

    def reasons(self) -> list[str]:
        """In words, one a kind."""
        return [
            f"{len(names)} {word}: {_some(names)}"
            for word, names in (
                ("new", [unit.position for unit in self.new]),
                ("changed", [unit.position for unit in self.changed]),
                ("removed", list(self.removed)),
            )
            if names
        ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def compare(units: Sequence[Unit], state: LedgerState) -> Differences:
    """Compare what a source has with what the ledger knows.

    Example:
        >>> compare([Unit("a.csv", "1")], LedgerState()).reasons()
        ['1 new: a.csv']
    """
    known = state.units
    present = {unit.position for unit in units}
    return Differences(
        new=tuple(u for u in units if u.position not in known),
        changed=tuple(
            u for u in units if u.position in known and known[u.position].unit.version != u.version
        ),
        removed=tuple(p for p in known if p not in present and not is_replay(p)),
    )


def wanted(dataset: DatasetSpec, units: Sequence[Unit], state: LedgerState) -> tuple[Unit, ...]:
    """The units that a load has to have; empty where the table is up to date.

    Raises:
        ConfigError: A file changed, and the table cannot tell which rows it wrote.
    """
    found = compare(units, state)
    if dataset.write == "replace":
        rebuilt = state.version > 0 and state.fingerprint != dataset.fingerprint
        outdated = found.new or found.changed or found.removed or rebuilt or not state.version
        return tuple(units) if outdated else ()
    if found.changed and dataset.write == "append" and not dataset.unit_column:
        raise ConfigError(
            f"dataset {dataset.name}: {_some([unit.position for unit in found.changed])} changed, "
            "and with unit_column: false its rows cannot be told from others",
            hint="Put the file back, or load anew with --full-refresh.",
        )
    outdated_units = {unit.position for unit in (*found.new, *found.changed)}
    return tuple(unit for unit in units if unit.position in outdated_units)


def plan_dataset(workspace: Workspace, name: str, *, refresh: bool = False) -> DatasetPlan:
    """Plan one dataset; an error of its own makes it ``blocked``, not the run."""
    sourced = workspace.dataset(name)
    spec = sourced.spec
    state = workspace.destination.state(spec)
    refresh = refresh or state.refresh
    zone = workspace.raw.dataset(name)
    table = table_name(spec)
    try:
        if not refresh:
            _assert_present(spec, state)
            if lost := loads_to_replay(name, state, zone.records()):
                return DatasetPlan(name, table, "replay", (_replay_reason(state, lost),), state)
        return _plan_units(workspace.source(sourced), spec, state, zone, refresh=refresh)
    except EtlError as error:
        return DatasetPlan(
            name, table, "blocked", (error.message,), state, error=error.message, hint=error.hint
        )


def _plan_units(
    source: Source, spec: DatasetSpec, state: LedgerState, zone: DatasetZone, *, refresh: bool
) -> DatasetPlan:
    before = _emptied(state) if refresh else state
    if not refresh and (batches := _resumed(source, zone, state)):
        plan = DatasetPlan(spec.name, table_name(spec), "load", (), state, batches, resumes=True)
        pending = sum(manifest is not None for manifest in held(zone, plan))
        reason = f"goes on with {pending} of {len(batches)} batches in the raw zone"
        return replace(plan, pending=pending, reasons=(reason,))
    units = list(source.units(before))
    found = compare(units, before)
    todo = wanted(spec, units, before)
    plan = DatasetPlan(spec.name, table_name(spec), "skip", (), state, removed=found.removed)
    if not todo:
        return replace(plan, reasons=(_nothing_new(spec, state),))
    batches = tuple(source.batches(todo, before))
    plan = replace(plan, action="load", state=before, batches=batches, refresh=refresh)
    pending = sum(manifest is not None for manifest in held(zone, plan))
    return replace(
        plan,
        pending=pending,
        reasons=tuple(_why(found, state, refresh=refresh, pending=pending, of=len(batches))),
        schema_changes=_schema_changes(source, spec, before, batches),
    )


def _resumed(source: Source, zone: DatasetZone, state: LedgerState) -> tuple[Batch, ...]:
    """The batches of a plan that another run began; none where there is no such plan."""
    if not isinstance(source, Resuming):
        return ()
    begun = [m for m in zone.candidates(state.version, state.lineage) if m.extends == state.version]
    return tuple((begun and source.resume(begun, state)) or ())


def table_name(spec: DatasetSpec) -> str:
    """A dataset's table as people read it."""
    return f"{spec.schema_}.{spec.table}" if spec.schema_ else spec.table


def _nothing_new(spec: DatasetSpec, state: LedgerState) -> str:
    if state.fingerprint in (None, spec.fingerprint):
        return NOTHING_NEW
    return f"{NOTHING_NEW}; its settings changed: --full-refresh applies them to rows loaded before"


def _why(
    found: Differences, state: LedgerState, *, refresh: bool, pending: int, of: int
) -> list[str]:
    reasons = found.reasons()
    if refresh:
        reasons.insert(0, "full refresh")
    elif state.version == 0:
        reasons.insert(0, "first load")
    elif not reasons:
        reasons.append("its settings changed")
    if pending:
        reasons.append(f"{pending} of {of} batches are in the raw zone already")
    return reasons


def _emptied(state: LedgerState) -> LedgerState:
    return replace(state, units={}, schema=None, cursor=None, missing=False)


def held(zone: DatasetZone, plan: DatasetPlan) -> list[Manifest | None]:
    """For each batch of a plan the one in the raw zone that answers it, if there is one."""
    if plan.refresh:
        return [None] * len(plan.batches)
    kept = {
        tuple(entry.unit.identity for entry in manifest.units): manifest
        for manifest in zone.candidates(plan.state.version, plan.state.lineage)
    }
    found = (kept.get(tuple(u.identity for u in batch.units)) for batch in plan.batches)
    return [
        manifest if manifest is not None and manifest.answers(batch) else None
        for manifest, batch in zip(found, plan.batches, strict=True)
    ]


def _schema_changes(
    source: Source, spec: DatasetSpec, state: LedgerState, batches: Sequence[Batch]
) -> tuple[str, ...]:
    if not isinstance(source, Previewing):
        return ()
    schemas = [source.schema(batch) for batch in batches]
    known: list[TableSchema] = [schema for schema in schemas if schema is not None]
    if not known or state.schema is None:
        return ()
    return tuple(evolution_of(known, spec, state.schema).describe())


def _assert_present(spec: DatasetSpec, state: LedgerState) -> None:
    if state.missing:
        raise SchemaError(
            f"dataset {spec.name}: the ledger knows table {spec.table} at version {state.version}, "
            "and the table is gone",
            hint=f"Load it anew: prefect-etl run --full-refresh --only {spec.name}",
        )


def loads_to_replay(
    dataset: str, state: LedgerState, records: Sequence[LoadRecord]
) -> list[LoadRecord]:
    """Loads that the raw zone knows and the destination lost, oldest first.

    Raises:
        ReplayGapError: They do not follow on what the destination has.
    """
    later = [record for record in records if record.version > state.version]
    if not later:
        return []
    start = next((i for i in range(len(later) - 1, -1, -1) if later[i].refresh), 0)
    later = later[start:]
    lineages = {record.lineage for record in later}
    follows = later[0].refresh or (
        later[0].version == state.version + 1 and state.lineage in (None, later[0].lineage)
    )
    versions = [record.version for record in later]
    contiguous = versions == list(range(versions[0], versions[0] + len(versions)))
    if follows and contiguous and len(lineages) == 1:
        return later
    raise ReplayGapError(
        f"dataset {dataset}: the destination is at version {state.version}, and the raw zone has "
        f"loads {versions[0]} to {versions[-1]}, which do not follow on it",
        hint=f"Load it anew: prefect-etl run --full-refresh --only {dataset}",
    )


def _replay_reason(state: LedgerState, lost: Sequence[LoadRecord]) -> str:
    loads = f"load {lost[0].version}"
    if len(lost) > 1:
        loads = f"loads {lost[0].version} to {lost[-1].version}"
    return f"the destination is at version {state.version}: {loads} come again from the raw zone"
