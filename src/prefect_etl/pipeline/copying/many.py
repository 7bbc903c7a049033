"""Copies many tables: each in a transaction of its own, and a failure of one stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from glob import has_magic

from prefect_etl.errors import ConfigError, EtlError
from prefect_etl.pipeline.copying.dataset import mode_of
from prefect_etl.pipeline.copying.ends import Output, reading_end, writing_end
from prefect_etl.pipeline.copying.job import prepared
from prefect_etl.pipeline.copying.report import CopyPlan, CopyReport
from prefect_etl.pipeline.copying.request import Means, Request, Work, working
from prefect_etl.pipeline.copying.table import plan, run
from prefect_etl.pipeline.discovery import chosen


def is_pattern(request: Request) -> bool:
    """Whether a request names its tables by a pattern.

    Example:
        >>> is_pattern(Request("a", "b", table="public.*")), is_pattern(Request("a", "b"))
        (True, False)
    """
    return request.table is not None and has_magic(request.table)


def copy_all(
    request: Request,
    exclude: Sequence[str] = (),
    means: Means | None = None,
    told: Callable[[CopyReport], None] | None = None,
) -> list[CopyReport]:
    """Copy the tables that a pattern means.

    Args:
        request: Its ``table`` is the pattern.
        exclude: Patterns of tables that are left out.
        means: With what; those of this process if None.
        told: Told of each table when it is done.

    Returns:
        A report for each table, also for those that failed.

    Raises:
        ConfigError: The request is wrong, or the pattern means no table.
        EtlError: The tables cannot be listed.
    """
    reports = []
    with working(means or Means()) as work:
        for one in _requests(request, exclude, work):
            reports.append(_copied(one, work))
            if told is not None:
                told(reports[-1])
    return reports


def plan_all(
    request: Request, exclude: Sequence[str] = (), means: Means | None = None
) -> list[CopyPlan]:
    """Say what :func:`copy_all` would do; nothing is written.

    Raises:
        ConfigError: As there.
        EtlError: A table cannot be read, or does not fit.
    """
    plans = []
    with working(means or Means()) as work:
        for one in _requests(request, exclude, work):
            with prepared(one, work) as job:
                plans.append(plan(job))
    return plans


def _copied(request: Request, work: Work) -> CopyReport:
    try:
        with prepared(request, work) as job:
            return run(job)
    except EtlError as error:
        table = request.table or ""
        mode = mode_of(request) or "new"
        return CopyReport(table, table, mode, status="failed", error=error.message, hint=error.hint)


def _requests(request: Request, exclude: Sequence[str], work: Work) -> list[Request]:
    if request.into is not None or request.query is not None:
        raise ConfigError("--into and --query are for one table, and --table names many")
    if isinstance(writing_end(request, work), Output):
        raise ConfigError("--table names many tables, and DEST is one file")
    connection = reading_end(request, work).connection
    discover = connection.connector.discover
    if discover is None:
        raise ConfigError(f"SOURCE: {connection.connector.name} cannot list its tables")
    found = discover(connection.config, work.session)
    default = connection.config.default_schema
    tables = chosen(found, [request.table or "*"], exclude, default)
    keyed = request.mode in ("merge", "scd2")
    return [
        replace(
            request,
            table=f"{table.schema}.{table.name}" if table.schema else table.name,
            key=request.key or (table.key if keyed else ()),
        )
        for table in tables
    ]
