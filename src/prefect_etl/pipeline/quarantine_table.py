"""Rows in quarantine as a table of the destination, where a dataset asks for it.

Each file of quarantine is a unit of this table, and what became of it is the unit's version: when a
file is closed, its rows are replaced. So the table follows by the same protocol as all others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from hashlib import sha256

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadUnit
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.schema import TableSchema, evolve
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Unit
from prefect_etl.errors import EtlError, VersionConflict
from prefect_etl.pipeline.quarantine import Quarantine, QuarantineEntry
from prefect_etl.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)
COLUMNS = TableSchema.of(
    dataset="VARCHAR",
    run_id="VARCHAR",
    rules="VARCHAR",
    reasons="VARCHAR",
    source="VARCHAR",
    row_number="BIGINT",
    line_number="BIGINT",
    row_key="VARCHAR",
    record="VARCHAR",
    raw_text="VARCHAR",
    closed="VARCHAR",
)
# One load takes so many files, each of which is a branch of its statement.
_AT_ONCE = 100


def publish_table(workspace: Workspace, spec: DatasetSpec) -> None:
    """Bring the table of a dataset's quarantine up to date, if it has one.

    Args:
        workspace: The pipeline.
        spec: The dataset.

    Raises:
        EtlError: As the destination says; the dataset's own rows are published.
    """
    if spec.quarantine_into is None:
        return
    table = table_of(spec)
    try:
        while _publish_some(workspace, spec, table):
            pass
    except EtlError as error:
        raise type(error)(
            f"{spec.name}: its rows are loaded, and those in quarantine did not get into table "
            f"{table.table}: {error.message}",
            hint=error.hint,
        ) from error


def table_of(spec: DatasetSpec) -> DatasetSpec:
    """The table of a dataset's quarantine, as a dataset of its own."""
    return DatasetSpec(
        name=f"{spec.name} quarantine", into=spec.quarantine_into, schema_=spec.schema_
    )


def _publish_some(workspace: Workspace, spec: DatasetSpec, table: DatasetSpec) -> bool:
    """Load some files that are new or have changed; whether there were any."""
    state = workspace.destination.state(table)
    entries = Quarantine(workspace.quarantine).entries(spec.name)
    todo = [e for e in entries if e.loaded and e.sources and not _is_known(e, state)][:_AT_ONCE]
    if not todo:
        return False
    try:
        workspace.destination.commit(_load(workspace, table, state, todo))
    except VersionConflict as conflict:  # another run was first: look again
        logger.info("%s", conflict.message)
    return True


def _load(
    workspace: Workspace,
    table: DatasetSpec,
    state: LedgerState,
    todo: Sequence[QuarantineEntry],
) -> Load:
    numbers = range(state.next_unit_id, state.next_unit_id + len(todo))
    return Load(
        pipeline=workspace.spec.name,
        dataset=table,
        state=state,
        evolution=evolve(state.schema, COLUMNS, dataset=table.name),
        units=tuple(
            LoadUnit(
                number,
                Unit(entry.name, _version(entry)),
                "",
                Accounting(read=entry.rows),
                time.time_ns(),
            )
            for number, entry in zip(numbers, todo, strict=True)
        ),
        rows=" UNION ALL ".join(
            _rows(entry, number) for number, entry in zip(numbers, todo, strict=True)
        ),
        batches=(),
        run_id=workspace.run_id,
        lineage=state.lineage,
    )


def _is_known(entry: QuarantineEntry, state: LedgerState) -> bool:
    known = state.units.get(entry.name)
    return known is not None and known.unit.version == _version(entry)


def _version(entry: QuarantineEntry) -> str:
    """What is known of the rows of a file: it changes when some of them are closed."""
    known = repr((entry.closed, [source.superseded for source in entry.sources]))
    return sha256(known.encode()).hexdigest()[:16]


def _rows(entry: QuarantineEntry, number: int) -> str:
    """SQL: the rows of a file as rows of the table."""
    values = {
        "dataset": literal(entry.dataset),
        "run_id": "_run_id",
        "rules": "array_to_string(_rules, '; ')",
        "reasons": "array_to_string(_reasons, '; ')",
        "source": "_source",
        "row_number": "_row",
        "line_number": "_line",
        "row_key": "_key",
        "record": f"CASE WHEN _row IS NOT NULL THEN {_record(entry)} END",
        "raw_text": "_text",
        "closed": _closed(entry),
    }
    columns = [f"CAST({value} AS {COLUMNS[name].type}) AS {name}" for name, value in values.items()]
    columns += [f"CAST({number} AS BIGINT) AS {UNIT_ID}", f"file_row_number + 1 AS {ROW_NUMBER}"]
    file = f"read_parquet({literal(entry.path)}, file_row_number = true)"
    return f"SELECT {', '.join(columns)} FROM {file}"


def _record(entry: QuarantineEntry) -> str:
    """The source's columns as JSON."""
    pairs: list[str] = []
    for stored, name, kind in entry.columns:
        column = identifier(stored)
        value = f"CAST({column} AS VARCHAR)" if "BLOB" in kind else column
        pairs += [literal(name), value]
    return f"CAST(json_object({', '.join(pairs)}) AS VARCHAR)"


def _closed(entry: QuarantineEntry) -> str:
    """Why a row is closed; null while it is open."""
    if entry.closed:
        return literal(entry.closed)
    stale: Sequence[tuple[str, str]] = [
        (source.position, source.superseded) for source in entry.sources if source.superseded
    ]
    whens = " ".join(f"WHEN _source = {literal(p)} THEN {literal(why)}" for p, why in stale)
    return f"CASE {whens} END" if whens else "NULL"
