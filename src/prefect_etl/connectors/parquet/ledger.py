"""What is remembered of a table: one JSON file in each version, published with its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from prefect_etl.connectors.parquet.layout import LEDGER
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.ledger import KnownUnit, LedgerState
from prefect_etl.core.load import Load
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit
from prefect_etl.errors import StorageError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of a version.

    Attributes:
        path: Below the version's folder, with slashes.
        rows: In it.
        size: In bytes.
    """

    path: str
    rows: int
    size: int

    @property
    def partition(self) -> str:
        """The folder that the file is in; empty where the table is not partitioned."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that a version says of itself.

    Attributes:
        owner: Pipeline and dataset.
        state: What the next load extends.
        record: The load that made the version.
        partition_by: The columns that are in the names of folders, not in the files.
        files: The rows.
        counts: What became of the rows of each unit that the table holds, by position.
        tombstones: The name of the file with the keys that rows deleted; None where there is none.
    """

    owner: tuple[str, str]
    state: LedgerState
    record: LoadRecord
    partition_by: tuple[str, ...] = ()
    files: tuple[DataFile, ...] = ()
    counts: Mapping[str, Accounting] = field(default_factory=dict)
    tombstones: str | None = None

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return sum(file.rows for file in self.files)


def read_ledger(version: Path) -> Ledger:
    """What a version says of itself.

    Raises:
        StorageError: It is damaged, or of a later release.
    """
    path = version / LEDGER
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        if given["format"] > FORMAT:
            raise StorageError(
                f"{path} was written by a later release", hint="Upgrade this installation."
            )
        return _from_json(given)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path} cannot be read: {error}",
            hint="Bring the table's folder back from a backup, or move it away and load anew.",
        ) from error


def ledger_text(ledger: Ledger) -> str:
    """The ledger as it is written."""
    state = ledger.state
    given = {
        "format": FORMAT,
        "owner": ledger.owner,
        "version": state.version,
        "lineage": state.lineage,
        "next_unit_id": state.next_unit_id,
        "columns": state.schema.pairs() if state.schema else None,
        "cursor": state.cursor,
        "fingerprint": state.fingerprint,
        "refresh": state.refresh,
        "record": asdict(ledger.record),
        "partition_by": ledger.partition_by,
        "tombstones": ledger.tombstones,
        "files": [asdict(file) for file in ledger.files],
        "units": [
            _unit_json(known, ledger.counts.get(position, Accounting()))
            for position, known in state.units.items()
        ],
    }
    return json.dumps(given, ensure_ascii=False, indent=1)


def state_after(load: Load, lineage: str, before: LedgerState) -> LedgerState:
    """What the ledger knows when a load is done.

    Args:
        load: The load.
        lineage: Its history.
        before: What was known.
    """
    anew = load.refresh or load.dataset.write == "replace"
    units = {} if anew else dict(before.units)
    for unit in load.units:
        if not unit.unit.transient:
            units[unit.unit.position] = KnownUnit(unit.unit_id, unit.unit, unit.seen_ns)
    return LedgerState(
        version=load.version,
        lineage=lineage,
        units=units,
        next_unit_id=max([before.next_unit_id, *(unit.unit_id + 1 for unit in load.units)]),
        schema=load.evolution.schema,
        cursor=load.cursor,
        fingerprint=load.dataset.fingerprint,
    )


def counts_after(
    load: Load, before: Ledger | None, counts: Mapping[int, Accounting]
) -> dict[str, Accounting]:
    """The counts of the units that the table holds, and held, when a load is done."""
    return dict(before.counts if before else {}) | {
        unit.unit.position: counts[unit.unit_id] for unit in load.units if not unit.unit.transient
    }


def asked_to_refresh(ledger: Ledger) -> Ledger:
    """The same, with the wish that the next load begins from an empty table."""
    return replace(ledger, state=replace(ledger.state, refresh=True))


def _unit_json(known: KnownUnit, counts: Accounting) -> dict[str, Any]:
    given = {"id": known.unit_id, "seen_ns": known.seen_ns, **asdict(known.unit)}
    return given | {"counts": {name: rows for name, rows in counts.as_dict().items() if rows}}


def _from_json(given: Mapping[str, Any]) -> Ledger:
    units, counts = {}, {}
    for entry in given["units"]:
        fields = dict(entry)
        unit_id, seen_ns = fields.pop("id"), fields.pop("seen_ns")
        counted = Accounting(**fields.pop("counts"))
        unit = Unit(**fields)
        units[unit.position] = KnownUnit(unit_id, unit, seen_ns)
        counts[unit.position] = counted
    columns = given["columns"]
    state = LedgerState(
        version=given["version"],
        lineage=given["lineage"],
        units=units,
        next_unit_id=given["next_unit_id"],
        schema=TableSchema.from_pairs(map(tuple, columns)) if columns is not None else None,
        cursor=given["cursor"],
        fingerprint=given["fingerprint"],
        refresh=given["refresh"],
    )
    record = given["record"]
    pipeline, dataset = given["owner"]
    return Ledger(
        owner=(pipeline, dataset),
        state=state,
        record=LoadRecord(**{**record, "batches": tuple(record["batches"])}),
        partition_by=tuple(given["partition_by"]),
        files=tuple(DataFile(**file) for file in given["files"]),
        counts=counts,
        tombstones=given["tombstones"],
    )
