"""The commands that plan, run and look back: plan, run, history, report."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from prefect_etl.cli.console import out, print_json, print_lines
from prefect_etl.cli.failure import FAILED, INTERRUPTED
from prefect_etl.cli.options import (
    DEFAULT_PIPELINE,
    AsJson,
    NamedPipelineFile,
    PipelineFile,
    open_pipeline,
)

Only = Annotated[
    list[str] | None,
    Parameter(
        consume_multiple=True,
        negative=(),
        help="Only these datasets and transformations, by name.",
    ),
]
FullRefresh = Annotated[
    bool,
    Parameter(
        help="Load everything anew, as if nothing had been loaded before.", show_default=False
    ),
]


def plan(
    pipeline: PipelineFile = DEFAULT_PIPELINE,
    *,
    only: Only = None,
    full_refresh: FullRefresh = False,
    as_json: AsJson = False,
) -> int:
    """Show what a run would do."""
    found = open_pipeline(pipeline).plan(only=tuple(only or ()), full_refresh=full_refresh)
    if as_json:
        print_json(found.as_dict())
    else:
        from prefect_etl.reporting.terminal import render_plan

        render_plan(found, out())
    return FAILED if any(part.action == "blocked" for part in found.datasets) else 0


def run(
    pipeline: PipelineFile = DEFAULT_PIPELINE,
    *,
    only: Only = None,
    full_refresh: FullRefresh = False,
    limit: Annotated[
        int | None,
        Parameter(help="A trial: so many rows of each dataset, into a throw-away warehouse."),
    ] = None,
    as_json: AsJson = False,
    verbose: Annotated[
        bool,
        Parameter(name=["--verbose", "-v"], help="Log what happens to stderr.", show_default=False),
    ] = False,
) -> int:
    """Run the pipeline."""
    from prefect_etl.cli.progress import progress_display

    opened = open_pipeline(pipeline, verbose=verbose)
    with progress_display() as progress:
        report = opened.run(
            only=tuple(only or ()), full_refresh=full_refresh, limit=limit, progress=progress
        )
    if as_json:
        print_json(report.as_dict())
    else:
        from prefect_etl.reporting.terminal import render_report

        render_report(report, out())
    return {"completed": 0, "interrupted": INTERRUPTED}.get(report.status, FAILED)


def history(
    pipeline: PipelineFile = DEFAULT_PIPELINE,
    *,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], help="At most so many runs.")] = 20,
    as_json: AsJson = False,
) -> int:
    """List runs, newest first."""
    reports = open_pipeline(pipeline).history(limit)
    if as_json:
        print_json([report.as_dict() for report in reports])
    else:
        from prefect_etl.reporting.terminal import render_history

        render_history(reports, out())
    return 0


def report(
    run_id: Annotated[str | None, Parameter(help="The run; the last one if not given.")] = None,
    *,
    pipeline: NamedPipelineFile = DEFAULT_PIPELINE,
    browse: Annotated[
        bool, Parameter(name="--open", help="Open it in the browser.", show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Print where the HTML report of a run is."""
    from prefect_etl.errors import ConfigError

    found = open_pipeline(pipeline).report(run_id)
    if as_json:
        print_json(found.as_dict())
        return 0
    path = found.links.get("report")
    if path is None:
        raise ConfigError(
            f"run {found.run_id} has no HTML report: it ended before it was written",
            hint="`prefect-etl report --json` prints what is known of it.",
        )
    print_lines(path)
    if browse:
        import webbrowser
        from pathlib import Path

        webbrowser.open(path if "://" in path else Path(path).as_uri())
    return 0
