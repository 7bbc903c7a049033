"""Chooses the rows of a file of quarantine that can be loaded now, and keeps them as a raw batch.

A row can be loaded unless its source gave it again since: in a later version of its file, or within
a window of the cursor that a later load of an append read again. What could not be read as a row
has no columns, and can only be read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.manifest import Manifest
from prefect_etl.core.rows import UNIT_INDEX, Relation
from prefect_etl.core.schema import UNKNOWN, Column, TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import stored_type
from prefect_etl.core.unit import Batch, Unit, replay_position
from prefect_etl.pipeline.prepare import Projected, project
from prefect_etl.pipeline.quarantine import AsideSource, QuarantineEntry
from prefect_etl.pipeline.setting_aside import Replaying
from prefect_etl.pipeline.standing import OLDER, REPLAYED
from prefect_etl.pipeline.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows that can be loaded.

    Attributes:
        replaying: They.
        rows: How many.
        stale: How many were given again since.
        unreadable: How many records have no columns.
        why_stale: Why, of the first of them.
    """

    replaying: Replaying
    rows: int
    stale: int
    unreadable: int
    why_stale: str = ""

    @property
    def left_out(self) -> str:
        """In words, what is not loaded of the file."""
        parts = []
        if self.stale:
            parts.append(f"{self.stale} are stale ({self.why_stale})")
        if self.unreadable:
            parts.append(
                f"{self.unreadable} could not be read as rows: mend the file, or read it in "
                "another way and load anew with --full-refresh"
            )
        return "; ".join(parts)


def choose_rows(
    workspace: Workspace, entry: QuarantineEntry, spec: DatasetSpec, state: LedgerState
) -> Chosen:
    """Choose the rows of a file that can be loaded now.

    Args:
        workspace: The pipeline.
        entry: The file.
        spec: The dataset.
        state: What the ledger knows of its table.

    Raises:
        SchemaError: The columns that the pipeline file names are not there.
    """
    sources = [_as_the_ledger_says(source, state) for source in entry.sources]
    live = tuple(source for source in sources if not source.superseded)
    file = f"read_parquet({literal(entry.path)}, file_row_number = true)"
    conditions = ["_row IS NOT NULL", f"list_contains({_positions(live)}, _source)"]
    conditions += _outside(entry, spec, state)
    chosen = (
        f"SELECT * EXCLUDE (file_row_number), file_row_number AS _at FROM {file} "
        f"WHERE {' AND '.join(conditions)}"
    )
    ((rows, readable, records),) = workspace.session.query(
        f"SELECT (SELECT count(*) FROM ({chosen})), count(_row), count(*) FROM {file}"
    )
    why = next((source.superseded for source in sources if source.superseded), "")
    return Chosen(
        Replaying(entry, chosen, live),
        rows,
        readable - rows,
        records - readable,
        why.removeprefix("superseded: ") or "a later load read their window again",
    )


def _positions(sources: Sequence[AsideSource]) -> str:
    return f"CAST({literal([source.position for source in sources])} AS VARCHAR[])"


def _as_the_ledger_says(source: AsideSource, state: LedgerState) -> AsideSource:
    known = state.units.get(source.position)
    if source.superseded or source.passes or known is None:
        return source
    if known.unit.version == source.version:
        return source
    return replace(source, superseded=f"superseded: a later {source.position} is loaded")


def _outside(entry: QuarantineEntry, spec: DatasetSpec, state: LedgerState) -> list[str]:
    """Conditions that leave out the windows of an append that were read again."""
    if spec.keyed or not entry.read_again or spec.cursor_column is None or state.schema is None:
        return []
    name = next(
        (p.source for p in _projected(entry, spec) if _is(p.column.name, spec.cursor_column)), None
    )
    stored = next((stored for stored, of, _ in entry.columns if of == name), None)
    if stored is None:
        return ["FALSE"]
    kind = state.schema[spec.cursor_column].type
    value = f"CAST({identifier(stored)} AS {kind})"
    outside = []
    for lower, upper in entry.read_again:
        bounds = [f"{value} >= CAST({literal(lower)} AS {kind})"] if lower is not None else []
        if upper is not None:
            bounds.append(f"{value} < CAST({literal(upper)} AS {kind})")
        within = " AND ".join(bounds) or f"{value} IS NOT NULL"
        outside.append(f"NOT coalesce({within}, FALSE)")
    return outside


def _is(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _projected(entry: QuarantineEntry, spec: DatasetSpec) -> list[Projected]:
    return project(TableSchema(tuple(Column(name, kind) for _, name, kind in entry.columns)), spec)


def keep_rows(
    workspace: Workspace,
    chosen: Chosen,
    spec: DatasetSpec,
    state: LedgerState,
    *,
    older: bool,
) -> Manifest:
    """Write the chosen rows to the raw zone, durably: from there they are loaded as any others.

    The ledger remembers a unit without rows, whose position names the file: so the rows are never
    loaded twice.

    Args:
        workspace: The pipeline.
        chosen: The rows.
        spec: The dataset.
        state: What the ledger knows of its table.
        older: Whether they lose against all rows of their keys.
    """
    replaying, entry = chosen.replaying, chosen.replaying.entry
    zone = workspace.raw.dataset(spec.name)
    units = [
        Unit(replay_position(entry.name, source.position), source.version, transient=True)
        for source in replaying.sources
    ]
    units.append(Unit(replay_position(entry.name), entry.run_id))
    kinds = _kinds(entry, spec, state)
    columns = ", ".join(
        f"{_restored(identifier(stored), kinds[name])} AS {identifier(name)}"
        for stored, name, _ in entry.columns
    )
    index = f"list_position({_positions(replaying.sources)}, _source) - 1"
    rows = Relation(
        f"SELECT {columns}, {index} AS {UNIT_INDEX} FROM ({replaying.chosen}) ORDER BY _at"
    )
    reading = {REPLAYED: entry.name, OLDER: older}
    manifest = zone.write(
        Batch(tuple(units), reading),
        rows,
        workspace.session,
        extends=state.version,
        lineage=state.lineage,
    )
    zone.keep(manifest)
    return manifest


def _restored(stored: str, kind: str) -> str:
    return stored if stored_type(kind) == kind else f"CAST({stored} AS {kind})"


def _kinds(entry: QuarantineEntry, spec: DatasetSpec, state: LedgerState) -> dict[str, str]:
    """The type of each column: as at the source; where all was null, as the table has it."""
    kinds = {name: kind for _, name, kind in entry.columns}
    tables = {p.source: p.column.name for p in _projected(entry, spec)}
    for name, kind in kinds.items():
        if kind == UNKNOWN:
            column = state.schema.find(tables.get(name, name)) if state.schema else None
            kinds[name] = column.type if column else "VARCHAR"
    return kinds
