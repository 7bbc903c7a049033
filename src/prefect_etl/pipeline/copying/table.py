"""Copies one table, query or set of files; or says what that would do."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from prefect_etl.connectors.base import Destination, Previewing
from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import Evolution, TableSchema
from prefect_etl.core.unit import Batch
from prefect_etl.errors import ConfigError, VersionConflict
from prefect_etl.pipeline.copying.dataset import mode_of
from prefect_etl.pipeline.copying.ends import Output
from prefect_etl.pipeline.copying.job import Job, prepared
from prefect_etl.pipeline.copying.loading import Loading
from prefect_etl.pipeline.copying.naming import spoken
from prefect_etl.pipeline.copying.refining import refining
from prefect_etl.pipeline.copying.report import CopyPlan, CopyReport
from prefect_etl.pipeline.copying.request import Means, Request, working
from prefect_etl.pipeline.copying.shaping import evolved, shaped
from prefect_etl.pipeline.copying.writing import Enough, write_out

logger = logging.getLogger(__name__)
# Each loss of a race means that another run published, so this is never reached in practice.
_ATTEMPTS = 5


def copy(request: Request, means: Means | None = None) -> CopyReport:
    """Copy one table, query or set of files.

    Args:
        request: What to copy where.
        means: With what; those of this process if None.

    Raises:
        ConfigError: The request is wrong.
        EtlError: It failed; the destination is as it was.
    """
    with working(means or Means()) as work, prepared(request, work) as job:
        return run(job)


def run(job: Job) -> CopyReport:
    """Do one copy; as :func:`copy`."""
    started = time.monotonic()
    with spoken():
        if isinstance(job.end, Output):
            report = _put_out(job, job.end)
        else:
            report = _attempts(job, job.destination(job.end))
    return replace(report, seconds=time.monotonic() - started)


def plan(job: Job) -> CopyPlan:
    """Say what a copy would do; nothing is written.

    Raises:
        EtlError: Source or destination cannot be read.
    """
    with spoken():
        state = LedgerState()
        if not isinstance(job.end, Output):
            state = _state(job, job.destination(job.end))
        units = job.units(state)
        evolution = Evolution(state.schema or TableSchema(()))
        if units.batches:
            schemas = [_preview(job, batch) for batch in units.batches]
            evolution, _ = evolved(schemas, job.spec, state.schema)
    return CopyPlan(
        source=job.label,
        table=job.target,
        mode=job.mode,
        units=tuple(unit.position for unit in units.news),
        columns=evolution.schema,
        changes=None if state.schema is None else tuple(evolution.describe()),
    )


def _preview(job: Job, batch: Batch) -> TableSchema:
    if isinstance(job.source, Previewing) and (found := job.source.schema(batch)):
        return found
    with job.open([batch]) as rows:
        return rows.parts[0].schema


def _attempts(job: Job, destination: Destination) -> CopyReport:
    for _ in range(_ATTEMPTS):
        try:
            return _load(job, destination)
        except VersionConflict as conflict:
            logger.info("%s; planning again", conflict.message)
    return _load(job, destination)


def _load(job: Job, destination: Destination) -> CopyReport:
    state = _state(job, destination)
    units = job.units(state)
    report = CopyReport(job.label, job.target, job.mode, version=state.version)
    if not units.batches:
        return replace(report, status="unchanged")
    progress, started, rows = job.work.means.progress, time.monotonic(), 0
    progress.started("load", job.spec.name, 0)
    try:
        loading = Loading(job, destination, state, units)
        result = loading.publish()
        counts = total(list(result.counts.values()))
        rows = counts.read
    finally:
        progress.finished("load", job.spec.name, rows, time.monotonic() - started)
    notes = tuple(loading.notes)
    return replace(report, counts=counts, version=result.version, notes=notes)


def _state(job: Job, destination: Destination) -> LedgerState:
    """What the ledger knows of the table, if the copy may go on from it."""
    state = destination.state(job.spec)
    if mode_of(job.request) is None and state.version and not state.missing:
        raise ConfigError(
            f"table {job.target} exists: {job.label} would come on top of what it has",
            hint="Say --mode append, replace, merge (with --key) or scd2.",
        )
    return state


def _put_out(job: Job, end: Output) -> CopyReport:
    """Write to a file or to standard output, which have no ledger."""

    def write(batches: Sequence[Batch]) -> int:
        with job.open(batches) as rows:
            made = shaped(rows, job.spec, None, 1)
            return write_out(job.work, made.columns, rows.stream, end, rows.confirm)

    units = job.units(LedgerState())
    try:
        rows = refining(job.source, units.batches, write)
    except Enough as error:
        raise BrokenPipeError(str(error)) from error
    return CopyReport(job.label, job.target, job.mode, counts=Accounting(read=rows, inserted=rows))
