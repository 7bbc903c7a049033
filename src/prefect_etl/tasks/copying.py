"""Copies a table, a query or files, as a task of any flow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prefect.cache_policies import NO_CACHE

from prefect_etl.config.secrets import secrets_hidden
from prefect_etl.config.settings import load_settings
from prefect_etl.orchestration.active import connections_of
from prefect_etl.orchestration.decorators import task
from prefect_etl.orchestration.recovery import is_retriable
from prefect_etl.pipeline.copying import CopyReport, Means, Request, copy


@task(
    name="copy",
    task_run_name="copy-{table}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=is_retriable,
)
def copy_table(  # noqa: PLR0913 - as the command has options
    source: str,
    destination: str,
    *,
    table: str | None = None,
    query: str | None = None,
    into: str | None = None,
    mode: str | None = None,
    key: Sequence[str] = (),
    cursor: str | None = None,
    lag: str | int | None = None,
    where: str | None = None,
    columns: Sequence[str] = (),
) -> CopyReport:
    """Copy a table, a query or files in one transaction, as ``prefect-etl copy`` does.

    A retry is harmless: a copy that failed left nothing, and one whose COMMIT had no reply asks the
    ledger.

    Args:
        source: The name of a connection, a URI, a block, or a file or glob.
        destination: The same; a file, too.
        table: The table to read.
        query: A SELECT to read instead.
        into: The table to write, if not of the same name.
        mode: ``append``, ``replace``, ``merge`` or ``scd2``; None where the table must be new.
        key: The columns that identify a row.
        cursor: The column that grows: only what is new is read.
        lag: How late rows of the cursor come.
        where: A condition in the source's SQL.
        columns: Only these columns.

    Returns:
        What became of the rows.

    Raises:
        ConfigError: The arguments are wrong.
        EtlError: It failed; the destination is as it was.
    """
    settings = load_settings()
    request = Request(
        source,
        destination,
        table=table,
        query=query,
        into=into,
        mode=mode,
        key=tuple(key),
        cursor=cursor,
        lag=lag,
        where=where,
        columns=tuple(columns),
    )
    means = Means(
        root=Path.cwd(),
        connections=connections_of(settings),
        memory_limit=settings.memory_limit,
        threads=settings.threads,
        lock_timeout=settings.lock_timeout,
    )
    with secrets_hidden():  # Prefect keeps the text of errors
        return copy(request, means)
