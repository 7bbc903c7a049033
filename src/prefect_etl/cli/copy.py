"""The command that copies tables, queries and files, without a pipeline file or Prefect."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from prefect_etl.cli.console import make_table, out, print_json, print_lines
from prefect_etl.cli.failure import FAILED, failures
from prefect_etl.cli.options import AsJson, prepare

if TYPE_CHECKING:
    from prefect_etl.pipeline.copying import CopyPlan, CopyReport, Means, Request
    from prefect_etl.pipeline.progress import Progress

Many = Parameter(negative=(), consume_multiple=True)


def copy(  # noqa: PLR0913 - one a command-line option
    source: Annotated[
        str,
        Parameter(
            help="A URI, the name of a connection, a file or glob, or - for standard input.",
            allow_leading_hyphen=True,
        ),
    ],
    dest: Annotated[
        str,
        Parameter(
            help="A URI, the name of a connection, a file, or - for standard output.",
            allow_leading_hyphen=True,
        ),
    ],
    /,
    *,
    table: Annotated[
        str | None, Parameter(help="The table to read; with * and ? all that match.")
    ] = None,
    query: Annotated[str | None, Parameter(help="A SELECT to read instead of a table.")] = None,
    into: Annotated[str | None, Parameter(help="The table to write: name or schema.name.")] = None,
    mode: Annotated[
        str | None,
        Parameter(
            help="append, replace, merge or scd2; merge if there is a --key, append if there is a "
            "--cursor. Without any the table must be new."
        ),
    ] = None,
    key: Annotated[
        list[str] | None, Parameter(negative=(), help="A column that identifies a row.")
    ] = None,
    cursor: Annotated[
        str | None,
        Parameter(help="The column that grows: only what is new since the last copy is read."),
    ] = None,
    lag: Annotated[
        str | None, Parameter(help="How late rows of the cursor come: 1 hour, or a number.")
    ] = None,
    where: Annotated[
        str | None, Parameter(help="A condition in the source's SQL; other rows stay there.")
    ] = None,
    columns: Annotated[
        list[str] | None, Parameter(negative=(), help="Copy only these columns, in this order.")
    ] = None,
    missing: Annotated[
        str | None,
        Parameter(help="keep or delete keys that the source does not have any more."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        Parameter(negative=(), help="Of the tables that match, leave out these."),
    ] = None,
    kind: Annotated[
        str | None,
        Parameter(name="--format", help="csv, tsv, json, jsonl, parquet where no name tells it."),
    ] = None,
    trusted: Annotated[
        bool,
        Parameter(
            help="The files are ours: read Parquet, Arrow and Excel without the process that "
            "guards against crafted ones.",
            negative=(),
            show_default=False,
        ),
    ] = False,
    dry_run: Annotated[
        bool, Parameter(help="Show what would be done, and the table.", show_default=False)
    ] = False,
    as_json: AsJson = False,
    verbose: Annotated[
        bool,
        Parameter(name=["--verbose", "-v"], help="Log what happens to stderr.", show_default=False),
    ] = False,
) -> int:
    """Copy a table, a query or files."""
    from prefect_etl.cli.progress import progress_display
    from prefect_etl.errors import ConfigError
    from prefect_etl.pipeline.copying import Request, is_pattern

    for text in (source, dest):
        if text.startswith("-") and text != "-":
            raise ConfigError(f"copy has no option {text}", hint="See `prefect-etl copy --help`.")
    request = Request(
        source=source,
        destination=dest,
        table=table,
        query=query,
        into=into,
        mode=mode,
        key=_listed(key),
        cursor=cursor,
        lag=lag,
        where=where,
        columns=_listed(columns),
        missing=missing,
        format=kind,
        trusted=trusted,
    )
    with progress_display() as progress:
        means = _means(request, progress, verbose=verbose)
        if is_pattern(request) and dry_run:
            return _plan_many(request, _listed(exclude), means, as_json=as_json)
        if is_pattern(request):
            return _copy_many(request, _listed(exclude), means, as_json=as_json)
        return _copy_one(request, means, dry_run=dry_run, as_json=as_json)


def _listed(values: list[str] | None) -> tuple[str, ...]:
    """Names that were given one by one, or with commas.

    Example:
        >>> _listed(["a,b", "c"])
        ('a', 'b', 'c')
    """
    return tuple(part.strip() for text in values or () for part in text.split(",") if part.strip())


def _means(request: Request, progress: Progress, *, verbose: bool) -> Means:
    """The settings of the current folder; the secrets of both ends are hidden from now on."""
    from prefect_etl.cli.ends import hidden
    from prefect_etl.orchestration.blocks import NamedConnections
    from prefect_etl.pipeline.copying import Means

    root = Path.cwd()
    settings = prepare(root / "copy", verbose=verbose)
    named = NamedConnections(settings.connection_uris())
    hidden((request.source, request.destination), named)
    return Means(
        root=root,
        connections=named,
        memory_limit=settings.memory_limit,
        threads=settings.threads,
        lock_timeout=settings.lock_timeout,
        progress=progress,
        stdin=sys.stdin.buffer if hasattr(sys.stdin, "buffer") else None,
    )


def _copy_one(request: Request, means: Means, *, dry_run: bool, as_json: bool) -> int:
    from prefect_etl.pipeline.copying import plan, prepared, run, working

    with working(means) as work, prepared(request, work) as job, failures():
        if dry_run:
            _print_plans([plan(job)], as_json=as_json)
        else:
            _print_report(run(job), as_json=as_json, to_stdout=request.destination != "-")
    return 0


def _print_report(report: CopyReport, *, as_json: bool, to_stdout: bool) -> None:
    if not to_stdout:  # the rows are there
        print(report.line(), file=sys.stderr)  # noqa: T201 - for people, beside the data
    elif as_json:
        print_json(report.as_dict())
    else:
        print_lines(*report.notes, report.line())


def _copy_many(request: Request, exclude: tuple[str, ...], means: Means, *, as_json: bool) -> int:
    from prefect_etl.pipeline.copying import copy_all

    with failures():
        reports = [_safe(report) for report in copy_all(request, exclude, means)]
    if as_json:
        print_json([report.as_dict() for report in reports])
    else:
        _print_summary(reports)
    return FAILED if any(report.status == "failed" for report in reports) else 0


def _plan_many(request: Request, exclude: tuple[str, ...], means: Means, *, as_json: bool) -> int:
    from prefect_etl.pipeline.copying import plan_all

    with failures():
        plans = plan_all(request, exclude, means)
    _print_plans(plans, as_json=as_json)
    return 0


def _print_summary(reports: list[CopyReport]) -> None:
    shown = make_table("table", "into", "mode", "rows", "seconds", "status", numbers=("rows",))
    for report in reports:
        cells = (report.source, report.table, report.mode, f"{report.counts.read:,}")
        shown.add_row(*cells, f"{report.seconds:.1f}", report.status)
    out().print(shown)
    for report in reports:
        if report.error:
            print_lines(*_told(report))


def _told(report: CopyReport) -> tuple[str, ...]:
    lines = (f"{report.source}: {report.error}", report.hint or "")
    return tuple(line for line in lines if line)


def _safe(report: CopyReport) -> CopyReport:
    """A report whose errors have no secrets, whatever a driver said."""
    from prefect_etl.config.secrets import redact

    error, hint = (text and redact(text) for text in (report.error, report.hint))
    return replace(report, error=error, hint=hint)


def _print_plans(plans: list[CopyPlan], *, as_json: bool) -> None:
    if as_json:
        print_json([plan.as_dict() for plan in plans])
        return
    for plan in plans:
        _print_plan(plan)


def _print_plan(plan: CopyPlan) -> None:
    what = ", ".join(plan.units[:3]) + (" …" if plan.units[3:] else "")
    print_lines(f"{plan.source} -> {plan.table} ({plan.mode}): {what or 'nothing new'}")
    if plan.changes is None:
        columns: list[Any] = [f"  {name} {kind}" for name, kind in plan.columns.pairs()]
        print_lines(f"CREATE TABLE {plan.table} (", ",\n".join(columns), ")")
    elif plan.changes:
        print_lines(*(f"  {change}" for change in plan.changes))
    else:
        print_lines("  its columns stay as they are")
