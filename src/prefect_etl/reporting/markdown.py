"""Reports as Markdown, and as rows for a Prefect table artifact."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from prefect_etl.core.report import DatasetReport, RunReport, TransformationReport
from prefect_etl.reporting.numbers import count, counted, moment, rate
from prefect_etl.reporting.words import (
    FATES,
    equation,
    headline,
    places,
    printable,
    problems,
    published,
    rows_read,
)

Row = dict[str, str | int | float | None]
# What Markdown or HTML would take for markup; a backslash before ASCII punctuation is literal
# (https://spec.commonmark.org/0.31.2/#backslash-escapes).
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#!|~&$])")
_ADDRESS = re.compile(r"https?://[^\s<>]+")
_DATASET_COLUMNS = ("Dataset", "Status", "Rows read", "Loaded", "Quarantined", "Seconds", "Rows/s")
_BUILT_COLUMNS = ("Transformation", "Status", "Rows", "Checks passed", "Seconds")


def report_rows(report: RunReport) -> list[Row]:
    """One row a dataset and transformation, for a table artifact.

    Example:
        >>> from datetime import datetime
        >>> run = RunReport("r1", "flights", "duckdb:///w.duckdb", "completed", datetime.now())
        >>> report_rows(run)
        []
    """
    rows = [_dataset_row(dataset) for dataset in report.datasets]
    return rows + [_transformation_row(part) for part in report.transformations]


def _dataset_row(dataset: DatasetReport) -> Row:
    counts = dataset.counts if published(dataset) else None
    return {
        "name": printable(dataset.dataset),
        "status": dataset.status,
        "rows read": rows_read(dataset),
        "loaded": counts.loaded if counts else None,
        "quarantined": counts.quarantined if counts else None,
        "seconds": round(dataset.seconds, 2),
        "rows/s": rate(counts.read, dataset.seconds) if counts else "",
        "why": printable(dataset.reason),
    }


def _transformation_row(part: TransformationReport) -> Row:
    return {
        "name": printable(part.name),
        "status": part.status,
        "rows read": None,
        "loaded": part.rows,
        "quarantined": None,
        "seconds": round(part.seconds, 2),
        "rows/s": "",
        "why": printable(part.reason),
    }


def report_markdown(report: RunReport) -> str:
    """What a run did, for a place that shows Markdown: an artifact, a pull request, a chat.

    All text from outside is escaped, so data cannot become markup.
    """
    lines = [f"# {_escaped(headline(report))}", ""]
    lines += [f"Run `{report.run_id}`, {moment(report.started)}.", ""]
    for problem in problems(report):
        lines.append(f"- **{_escaped(problem.name)}** failed: {_escaped(problem.message)}")
        lines += [f"  - {_escaped(problem.hint)}"] if problem.hint else []
    if report.datasets and not report.idle:
        rows = [_dataset_cells(dataset) for dataset in report.datasets]
        lines += ["", *_table(_DATASET_COLUMNS, rows, numbers=5)]
    if report.transformations and not report.idle:
        rows = [_transformation_cells(part) for part in report.transformations]
        lines += ["", *_table(_BUILT_COLUMNS, rows, numbers=3)]
    lines += ["", *_notes(report), ""]
    lines += [f"- {_escaped(name)}: {_place(place)}" for name, place in places(report).items()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))


def _place(address: str) -> str:
    return f"<{address}>" if _ADDRESS.fullmatch(address) else _escaped(address)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> list[str]:
    marks = ["---"] * (len(columns) - numbers) + ["--:"] * numbers
    return [f"| {' | '.join(cells)} |" for cells in (columns, marks, *rows)]


def _dataset_cells(dataset: DatasetReport) -> list[str]:
    row = _dataset_row(dataset)
    told = ["" if (n := row[key]) is None else f"{n:,}" for key in ("rows read", "loaded")]
    aside = count(dataset.counts.quarantined) if published(dataset) else ""
    took = f"{dataset.seconds:.2f}" if dataset.seconds else ""
    cells = [*told, aside, took, str(row["rows/s"])]
    return [_escaped(dataset.dataset), dataset.status, *cells]


def _transformation_cells(part: TransformationReport) -> list[str]:
    passed = sum(check.passed for check in part.checks)
    checks = f"{passed} of {len(part.checks)}" if part.checks else ""
    rows = "" if part.rows is None else count(part.rows)
    took = f"{part.seconds:.2f}" if part.seconds else ""
    return [_escaped(part.name), part.status, rows, checks, took]


def _notes(report: RunReport) -> Iterator[str]:
    for dataset in report.datasets:
        name = _escaped(dataset.dataset)
        if published(dataset) and dataset.counts.read != dataset.counts.inserted:
            yield f"- {name}: {_escaped(equation(dataset.counts))}"
        for change in dataset.schema_changes:
            yield f"- {name}: {_escaped(change)}"
        for repair in dataset.repairs:
            yield f"- {name}: {_escaped(f'{repair.verb} {repair}')}"
        for rule in dataset.rules:
            fate = _escaped(FATES.get(rule.on_violation, rule.on_violation))
            told = f"{counted(rule.rows, 'row')} {fate}: " if rule.rows else ""
            yield f"- {name}: {told}{_escaped(rule.reason)}"
        if dataset.quarantine:
            yield f"- {name}: rows put aside in {_escaped(dataset.quarantine)}"
    for part in report.transformations:
        for check in part.checks:
            if not check.passed:
                told = f"check {check.check} failed: {check.detail}"
                yield f"- {_escaped(part.name)}: {_escaped(told)}"
