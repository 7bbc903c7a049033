"""The command that loads windows of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from prefect_etl.cli.console import make_table, out, print_json, print_lines
from prefect_etl.cli.failure import FAILED, INTERRUPTED
from prefect_etl.cli.options import DEFAULT_PIPELINE, AsJson, PipelineFile, open_pipeline

if TYPE_CHECKING:
    from prefect_etl.core.backfill import BackfillPlan

_SHOWN = 40


def backfill(  # noqa: PLR0913 - one a command-line option
    pipeline: PipelineFile = DEFAULT_PIPELINE,
    *,
    dataset: Annotated[str, Parameter(help="A table or query of a database, with a cursor.")],
    start: Annotated[str, Parameter(help="The first value of the cursor.")],
    end: Annotated[str, Parameter(help="The value after the last one.")],
    every: Annotated[
        str, Parameter(help="The length of a window: 1 day, 6 hours, 1000.")
    ] = "1 day",
    limit: Annotated[int, Parameter(help="How many windows are loaded at a time.")] = 2,
    again: Annotated[
        bool, Parameter(help="Load also those that are loaded.", show_default=False)
    ] = False,
    dry_run: Annotated[
        bool,
        Parameter(help="Show which windows are done, missing and failed.", show_default=False),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Load windows of the past."""
    from prefect_etl.errors import ConfigError

    if limit < 1:
        raise ConfigError(f"--limit {limit} loads nothing", hint="Give 1 or more.")
    opened = open_pipeline(pipeline)
    plan = opened.plan_backfill(dataset, start, end, every, again=again)
    if dry_run or not plan.todo:
        if as_json:
            print_json(plan.as_dict())
        else:
            _print_plan(plan)
        return 0
    report = opened.backfill(dataset, start, end, every, limit=limit, again=again)
    if as_json:
        print_json(report.as_dict())
    else:
        from prefect_etl.reporting.terminal import render_report

        render_report(report, out())
    return {"completed": 0, "interrupted": INTERRUPTED}.get(report.status, FAILED)


def _print_plan(plan: BackfillPlan) -> None:
    """What became of the windows, and how many there are of each kind."""
    table = make_table("from, to", "windows", "status", "why", numbers=["windows"])
    for span in plan.spans[:_SHOWN]:
        table.add_row(str(span.window), f"{span.windows:,}", span.status, span.reason)
    out().print(table)
    if len(plan.spans) > _SHOWN:
        print_lines(f"… and {len(plan.spans) - _SHOWN:,} more such lines; --json has all windows")
    counts = ", ".join(f"{plan.count(s):,} {s}" for s in ("done", "missing", "failed"))
    print_lines(f"{plan.dataset} -> {plan.table}: {len(plan.windows):,} windows: {counts}")
