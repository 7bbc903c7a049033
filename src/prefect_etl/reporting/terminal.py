"""Reports, plans and histories on a terminal, or in a file that a terminal's output went to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import indent
from typing import TYPE_CHECKING

from prefect_etl.core.plan import NOTHING_NEW, DatasetPlan, RunPlan
from prefect_etl.core.report import DatasetReport, RunReport, TransformationReport
from prefect_etl.reporting.numbers import count, counted, moment, rate, seconds, size
from prefect_etl.reporting.words import (
    FATES,
    equation,
    headline,
    places,
    printable,
    problems,
    published,
    rows_read,
    total_counts,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STYLES = {
    "loaded": "green",
    "replayed": "green",
    "built": "green",
    "completed": "green",
    "load": "green",
    "replay": "green",
    "run": "green",
    "failed": "bold red",
    "blocked": "bold red",
    "interrupted": "yellow",
    "running": "cyan",
    "skipped": "yellow",
}
_QUIET = "dim"


def render_report(report: RunReport, console: Console) -> None:
    """Print what a run did: tables, then what needs attention, then where to look further.

    A run that had nothing to do is one line, and its links.
    """
    if not report.idle:
        if report.datasets:
            console.print(_datasets(report))
            console.print()
        if report.transformations:
            console.print(_transformations(report.transformations))
            console.print()
        notes = list(_notes(report))
        for line in notes:
            _say(console, *line)
        for problem in problems(report):
            _say(console, f"{problem.name} failed", "bold red")
            _say(console, indent(problem.message, "  "))
            if problem.hint:
                _say(console, indent(problem.hint, "  "), "yellow")
        if notes or report.failures or report.error:
            console.print()
    _say(console, headline(report), _STYLES.get(report.status, ""))
    _links(report, console)


def _say(console: Console, text: str, style: str = "") -> None:
    from rich.text import Text

    # Never as markup, and never cut: the terminal itself breaks what is too long for it, so that
    # a path can be copied and a log searched.
    console.print(Text(printable(text), style), soft_wrap=True)


def _table(*columns: str, numbers: Iterable[str] = ()) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False, header_style="bold"
    )
    numeric = frozenset(numbers)
    for name in columns:
        if name in numeric:
            table.add_column(name, justify="right", overflow="fold")
        else:
            table.add_column(name, overflow="fold")
    return table


def _row(table: Table, *cells: str, style: str = "", **styles: str) -> None:
    """Add a row; ``status=`` and the like give the style of the cell with that text."""
    from rich.text import Text

    given = {styles[key]: _STYLES.get(styles[key], _QUIET) for key in styles}
    table.add_row(*(Text(printable(cell), given.get(cell, "")) for cell in cells), style=style)


def _datasets(report: RunReport) -> Table:
    numbers = ("Rows read", "Loaded", "Quarantined", "Seconds", "Rows/s")
    table = _table("Dataset", "Status", *numbers, numbers=numbers)
    for dataset in report.datasets:
        _row(table, *_dataset_cells(dataset), status=dataset.status)
    if sum(published(dataset) for dataset in report.datasets) > 1:
        counts = total_counts(report)
        table.add_section()
        cells = (count(counts.read), count(counts.loaded), count(counts.quarantined))
        _row(table, "all", "", *cells, f"{report.seconds:.2f}", rate(counts.read, report.seconds))
    return table


def _dataset_cells(dataset: DatasetReport) -> tuple[str, ...]:
    counts = dataset.counts
    name = f"{dataset.dataset} {dataset.window}" if dataset.window else dataset.dataset
    told = (name, dataset.status)
    if dataset.status in ("unchanged", "skipped"):
        return (*told, "", "", "", "", "")
    if not published(dataset):
        read = count(counts.read) if rows_read(dataset) else ""
        return (*told, read, "", "", f"{dataset.seconds:.2f}", "")
    return (
        *told,
        count(counts.read),
        count(counts.loaded),
        count(counts.quarantined),
        f"{dataset.seconds:.2f}",
        rate(counts.read, dataset.seconds),
    )


def _transformations(parts: Sequence[TransformationReport]) -> Table:
    table = _table(
        "Transformation", "Status", "Rows", "Checks", "Seconds", numbers=("Rows", "Seconds")
    )
    for part in parts:
        passed = sum(check.passed for check in part.checks)
        checks = f"{passed} of {len(part.checks)} passed" if part.checks else ""
        rows = "" if part.rows is None else count(part.rows)
        took = f"{part.seconds:.2f}" if part.status in ("built", "failed") else ""
        _row(table, part.name, part.status, rows, checks, took, status=part.status)
    return table


def _notes(report: RunReport) -> Iterator[tuple[str, str]]:
    for dataset in report.datasets:
        yield from _dataset_notes(dataset)
    for part in report.transformations:
        if part.status == "skipped":
            yield f"{part.name} skipped: {part.reason}", "yellow"
        for check in part.checks:
            if not check.passed:
                yield f"{part.name}: check {check.check} failed: {check.detail}", "bold red"


def _dataset_notes(dataset: DatasetReport) -> Iterator[tuple[str, str]]:
    name = f"{dataset.dataset} {dataset.window}" if dataset.window else dataset.dataset
    if published(dataset) and dataset.counts.read != dataset.counts.inserted:
        yield f"{name}: {equation(dataset.counts)}", ""
    for change in dataset.schema_changes:
        yield f"{name}: {change}", "cyan"
    for repair in dataset.repairs:
        yield f"{name}: {repair.verb} {repair}", "yellow"
    for rule in dataset.rules:
        fate = FATES.get(rule.on_violation, rule.on_violation)
        told = f"{counted(rule.rows, 'row')} {fate}: " if rule.rows else ""
        yield f"{name}: {told}{rule.reason} ({rule.rule})", "yellow"
    if dataset.quarantine:
        yield f"  {dataset.quarantine}", _QUIET
    if dataset.status == "skipped":
        yield f"{name} skipped: {dataset.reason}", "yellow"


def _links(report: RunReport, console: Console) -> None:
    found = places(report)
    width = min(max(map(len, found)), 16)
    for name, address in found.items():
        _say(console, f"  {name:<{width}}  {address}")


def render_plan(plan: RunPlan, console: Console) -> None:
    """Print what a run would do and why, what it would skip and why, and schema differences."""
    if plan.empty:
        parts = len(plan.datasets), len(plan.transformations)
        what = f"{counted(parts[0], 'dataset')} and {counted(parts[1], 'transformation')}"
        _say(console, f"{plan.pipeline}: nothing to do ({what} up to date)", "green")
        for dataset in plan.datasets:
            told = [why for why in dataset.reasons if why != NOTHING_NEW]
            if told:
                _say(console, f"{dataset.dataset}: {'; '.join(told)}", "yellow")
        return
    if plan.datasets:
        console.print(_planned_datasets(plan.datasets))
        console.print()
    if plan.transformations:
        table = _table("Transformation", "Action", "Why")
        for part in plan.transformations:
            why = "; ".join(part.reasons)
            _row(table, part.name, part.action, why, status=part.action)
        console.print(table)
        console.print()
    for dataset in plan.datasets:
        for line in _plan_notes(dataset):
            _say(console, *line)
    read = sum(dataset.size for dataset in plan.datasets)
    todo = [d.dataset for d in plan.datasets if d.action in ("load", "replay")]
    todo += [t.name for t in plan.transformations if t.action == "run"]
    what = f"{len(todo)} of {len(plan.datasets) + len(plan.transformations)} would run"
    _say(console, f"{plan.pipeline}: {what}" + (f", {size(read)} to read" if read else ""))


def _planned_datasets(datasets: Sequence[DatasetPlan]) -> Table:
    table = _table("Dataset", "Action", "Units", "Size", "Why", numbers=("Units", "Size"))
    for plan in datasets:
        busy = plan.action in ("load", "replay")
        units = count(len(plan.units)) if busy else ""
        bytes_ = size(plan.size) if busy and plan.size else ""
        why = "; ".join(plan.reasons)
        _row(table, plan.dataset, plan.action, units, bytes_, why, status=plan.action)
    return table


def _plan_notes(plan: DatasetPlan) -> Iterator[tuple[str, str]]:
    if plan.refresh:
        yield f"{plan.dataset}: {plan.table} would be made anew", "yellow"
    for change in plan.schema_changes:
        yield f"{plan.dataset}: {change}", "cyan"
    if plan.pending:
        units = counted(plan.pending, "batch is", "batches are")
        yield f"{plan.dataset}: {units} in the raw zone already", ""
    if plan.removed:
        gone = ", ".join(plan.removed)
        yield f"{plan.dataset}: no longer at the source: {gone}", "yellow"
    if plan.error:
        yield f"{plan.dataset} is blocked: {plan.error}", "bold red"
    if plan.hint:
        yield indent(plan.hint, "  "), "yellow"


def render_history(reports: Sequence[RunReport], console: Console) -> None:
    """Print runs, one a row, in the order given; what failed is said below."""
    if not reports:
        _say(console, "no runs yet: prefect-etl run makes the first")
        return
    numbers = ("Loaded", "Put\naside", "Took")
    table = _table("Started (UTC)", "Status", *numbers, "Run", numbers=numbers)
    for report in reports:
        counts = total_counts(report)
        rows = [count(n) if n else "" for n in (counts.loaded, counts.quarantined)]
        status = "nothing new" if report.idle else report.status
        cells = (moment(report.started)[:16], status, *rows, seconds(report.seconds))
        _row(table, *cells, report.run_id, status=status)
    console.print(table)
    console.print()
    for report in reports:
        for problem in problems(report):
            _say(console, f"{report.run_id}: {problem.name}: {problem.message}", "red")
