"""Makes the table of one transformation: compute it aside, check it, publish it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect_etl.connectors.transforming import Publication, Select, SqlTables, Staged, Versions
from prefect_etl.core.report import CheckReport, TransformationReport
from prefect_etl.core.rows import Relation
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.warehouse import Read, TransformationState
from prefect_etl.errors import ContractError, EtlError
from prefect_etl.pipeline.transform.checks import has_checks, run_checks
from prefect_etl.pipeline.transform.function import staged_function
from prefect_etl.pipeline.transform.prepare import assert_parameters, named
from prefect_etl.pipeline.transform.prepared import Prepared


class ChecksFailedError(ContractError):
    """A result did not pass its checks; its table is as it was.

    Attributes:
        checks: All checks that were run, failed or not.
    """

    checks: tuple[CheckReport, ...] = ()


@dataclass(frozen=True, slots=True)
class _Result:
    staged: Staged
    versions: Versions
    view: Select | None = None


def build(
    prepared: Prepared,
    tables: SqlTables,
    run_id: str,
    *,
    refresh: bool = False,
    spill: Path | None = None,
) -> TransformationReport:
    """Make a transformation's table.

    Args:
        prepared: The transformation.
        tables: Where it runs.
        run_id: The run that does it.
        refresh: Replace an incremental table instead of merging into it.
        spill: Folder for what a Python function gives and does not fit in memory; the system's if
            None.

    Raises:
        ChecksFailedError: The result did not pass its checks, which it tells.
        EtlError: It could not be computed or published. The table is as it was.
    """
    started = time.monotonic()
    state = tables.snapshot().transformations.get(prepared.table)
    try:
        with _computed(prepared, tables, state, spill) as result:
            checks = _checked(prepared, result.staged, tables)
            published = tables.publish(_publication(prepared, result, state, run_id, refresh))
    except ChecksFailedError:
        raise
    except EtlError as error:
        raise named(prepared.name, error) from error
    return TransformationReport(
        name=prepared.name,
        table=prepared.label,
        kind=prepared.spec.kind,
        status="built",
        rows=published.rows,
        version=published.version.number,
        seconds=time.monotonic() - started,
        reads=tuple(dict.fromkeys(read.label for read in prepared.reads)),
        checks=checks,
    )


@contextmanager
def _computed(
    prepared: Prepared, tables: SqlTables, state: TransformationState | None, spill: Path | None
) -> Iterator[_Result]:
    if prepared.sql is None:
        known: TableSchema | None = state.columns if state else None
        with staged_function(prepared, tables, known, spill) as (staged, versions):
            yield _Result(staged, versions)
        return
    spec = prepared.spec
    select = tables.select(prepared.sql)
    assert_parameters(select, spec.parameters)
    view = tables.bind(select, spec.parameters) if spec.kind == "view" else None
    rows = Relation(view.sql) if view else Relation(select.sql, dict(spec.parameters))
    keep = view is None or has_checks(spec.checks)
    with tables.stage(rows, select.reads, keep_rows=keep) as staged:
        yield _Result(staged, staged.versions, view)


def _checked(prepared: Prepared, staged: Staged, tables: SqlTables) -> tuple[CheckReport, ...]:
    for expression in prepared.spec.checks.expression:
        tables.condition(expression)
    checks = run_checks(prepared.spec, staged, tables.query)
    failed = [check for check in checks if not check.passed]
    if failed:
        said = "; ".join(f"{check.check}: {check.detail}" for check in failed)
        error = ChecksFailedError(
            f"{prepared.name}: {len(failed)} of {len(checks)} checks failed: {said}",
            hint="Its table is as it was. Mend the transformation, what it reads, or the check.",
        )
        error.checks = checks
        raise error
    return checks


def _publication(
    prepared: Prepared,
    result: _Result,
    state: TransformationState | None,
    run_id: str,
    refresh: bool,
) -> Publication:
    spec = prepared.spec
    return Publication(
        pipeline=prepared.pipeline,
        name=prepared.name,
        table=prepared.table,
        kind=spec.kind,
        key=spec.key,
        staged=result.staged,
        view=result.view,
        fingerprint=prepared.fingerprint,
        reads=tuple(
            Read(read.table, result.versions.get(read.table), read.argument)
            for read in prepared.reads
        ),
        built_on=state.version if state else None,
        run_id=run_id,
        refresh=refresh,
    )


def failed_report(
    prepared: Prepared, error: EtlError, seconds: float = 0.0
) -> TransformationReport:
    """The report of a transformation that an error stopped; its table is as it was.

    Args:
        prepared: The transformation.
        error: What stopped it.
        seconds: Wall time until then.
    """
    return TransformationReport(
        name=prepared.name,
        table=prepared.label,
        kind=prepared.spec.kind,
        status="failed",
        reason=error.message,
        hint=error.hint or "",
        seconds=seconds,
        reads=tuple(dict.fromkeys(read.label for read in prepared.reads)),
        checks=error.checks if isinstance(error, ChecksFailedError) else (),
    )
