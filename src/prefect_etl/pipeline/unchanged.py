"""Finds out that a source which was read as a whole holds just what it held at the last load.

A table without a cursor has to be read in each run; it does not have to be published in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.manifest import Manifest
from prefect_etl.core.rows import UNIT_INDEX
from prefect_etl.core.sql import identifier, literals
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ReplayGapError
from prefect_etl.pipeline.keys import apart
from prefect_etl.storage.raw_zone import DatasetZone


def holds_the_same(
    session: Session,
    zone: DatasetZone,
    spec: DatasetSpec,
    state: LedgerState,
    manifests: Sequence[Manifest],
) -> bool:
    """Whether a replacement would put the rows into the table that it has already.

    The rows of the last load are still in the raw zone. Both sets of rows are compared by the sum
    of a 64-bit hash of each row, which does not depend on their order.

    Args:
        session: The engine.
        zone: The raw zone of the dataset.
        spec: The dataset.
        state: What the ledger knows of its table.
        manifests: What was read now.
    """
    whole = all(manifest.reading.get("whole") for manifest in manifests)
    if not whole or spec.write != "replace" or state.fingerprint != spec.fingerprint:
        return False
    before = _last_load(zone, state)
    if sum(m.rows for m in before) != sum(m.rows for m in manifests) or not before:
        return False
    schemas = {manifest.schema for manifest in (*before, *manifests)}
    if len(schemas) > 1:
        return False
    names = [column.name for column in manifests[0].schema if column.name != UNIT_INDEX]
    old, new = (
        _digest(session, [zone.data(m.batch_id) for m in group], names)
        for group in (before, manifests)
    )
    return old == new


def has_the_same_keys(
    session: Session, zone: DatasetZone, state: LedgerState, manifests: Sequence[Manifest]
) -> bool:
    """Whether nothing came and no key is gone since the last load, which compared all keys, too.

    Args:
        session: The engine.
        zone: The raw zone of the dataset.
        state: What the ledger knows of its table.
        manifests: What was read now.
    """
    read, keys = apart(manifests)
    if not keys or not all(manifest.reading.get("idle") for manifest in read):
        return False
    _, before = apart(_last_load(zone, state))
    if not before or {m.schema for m in before} != {m.schema for m in keys}:
        return False
    names = keys[0].schema.names
    old, new = (
        _digest(session, [zone.data(m.batch_id) for m in group], names) for group in (before, keys)
    )
    return old == new


def _last_load(zone: DatasetZone, state: LedgerState) -> list[Manifest]:
    for record in zone.records():
        if (record.version, record.lineage) == (state.version, state.lineage):
            try:
                return zone.batches_of(record)
            except ReplayGapError:  # they are gone: nothing to compare with
                return []
    return []


def _digest(session: Session, files: Sequence[Path], names: Sequence[str]) -> tuple[object, ...]:
    row = f"hash({', '.join(identifier(name) for name in names)})"
    (found,) = session.query(
        f"SELECT count(*), sum(CAST({row} AS HUGEINT)), bit_xor({row}) "
        f"FROM read_parquet([{literals(str(file) for file in files)}], "
        "hive_partitioning = false)"
    )
    return found
