"""The sections of the HTML report, each None where it would be empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.report import (
    CheckReport,
    DatasetReport,
    RunReport,
    TransformationReport,
)
from prefect_etl.reporting.markup import Child, Html, tag
from prefect_etl.reporting.numbers import count, counted, moment, rate, seconds, size
from prefect_etl.reporting.words import FATES, PARTS, published, total_counts

# A mark beside the word, so that colour is never the only sign.
_PILLS = {
    "completed": ("good", "\u2713"),
    "loaded": ("good", "\u2713"),
    "replayed": ("good", "\u21ba"),
    "built": ("good", "\u2713"),
    "passed": ("good", "\u2713"),
    "failed": ("bad", "\u2715"),
    "interrupted": ("warn", "!"),
    "skipped": ("warn", "\u00bb"),
    "running": ("info", "\u2026"),
    "nothing new": ("info", "="),
    "unchanged": ("", "="),
}


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    numeric: bool = False


def pill(status: str) -> Html:
    """A status as a coloured word with a mark."""
    color, mark = _PILLS.get(status, ("", ""))
    shown = [tag("span", mark, aria_hidden="true"), " "] if mark else None
    return tag("span", shown, status, class_=f"pill {color}".strip())


def _table(columns: Sequence[_Column], rows: Sequence[Sequence[Child]], last: str = "") -> Html:
    """A table that falls apart into cards on a narrow screen, and keeps its roles there.

    A column without any content is left out.
    """
    shown = [n for n in range(len(columns)) if n == 0 or any(row[n] for row in rows)]
    columns = [columns[n] for n in shown]
    rows = [[row[n] for n in shown] for row in rows]
    head = [
        tag(
            "th",
            c.name,
            scope="col",
            role="columnheader",
            class_="number" if c.numeric else None,
        )
        for c in columns
    ]
    body = []
    for number, row in enumerate(rows, 1):
        first = tag("th", row[0], scope="row", role="rowheader")
        cells = [
            tag(
                "td",
                cell,
                role="cell",
                data_label=column.name,
                class_="number" if column.numeric else "text",
            )
            for column, cell in zip(columns[1:], row[1:], strict=True)
        ]
        kind = last if last and number == len(rows) else None
        body.append(tag("tr", first, cells, role="row", class_=kind))
    return tag(
        "div",
        tag(
            "table",
            tag("thead", tag("tr", head, role="row"), role="rowgroup"),
            tag("tbody", body, role="rowgroup"),
            role="table",
        ),
        class_="panel table",
    )


def _section(title: str, *content: Child) -> Html:
    return tag("section", tag("h2", title), content)


def datasets(report: RunReport) -> Html | None:
    """What happened to each dataset."""
    if not report.datasets:
        return None
    columns = [_Column("Dataset"), _Column("Status")]
    columns += [_Column(name, numeric=True) for name in ("Read", "Loaded", "Quarantined")]
    columns += [_Column(name, numeric=True) for name in ("Size", "Time", "Rows/s")]
    rows = [_dataset_row(dataset) for dataset in report.datasets]
    if sum(map(published, report.datasets)) > 1:
        rows.append(_all_row(report))
        return _section("Datasets", _table(columns, rows, last="all"))
    return _section("Datasets", _table(columns, rows))


def _dataset_row(dataset: DatasetReport) -> list[Child]:
    busy = published(dataset)
    units = counted(dataset.units, "unit") if busy and dataset.units else ""
    reused = f", {count(dataset.reused)} from the raw zone" if busy and dataset.reused else ""
    about = _facts(_table_of(dataset.table, dataset.dataset), dataset.write, units + reused)
    why = tag("small", dataset.reason) if dataset.reason and dataset.status != "failed" else None
    numbers: list[Child] = ["", "", "", "", "", ""]
    if busy:
        counts = dataset.counts
        numbers = [count(n) for n in (counts.read, counts.loaded, counts.quarantined)]
        numbers += [size(dataset.bytes) if dataset.bytes else ""]
        numbers += [seconds(dataset.seconds), rate(counts.read, dataset.seconds)]
    elif dataset.status == "failed":
        numbers[4] = seconds(dataset.seconds)
    return [[dataset.dataset, tag("small", about)], tag("div", pill(dataset.status), why), *numbers]


def _table_of(table: str, name: str) -> str:
    return "" if table == name else table


def _facts(*facts: str) -> str:
    return " \u00b7 ".join(filter(None, facts))


def _all_row(report: RunReport) -> list[Child]:
    counts = total_counts(report)
    read = sum(dataset.bytes for dataset in report.datasets if published(dataset))
    rows = [count(n) for n in (counts.read, counts.loaded, counts.quarantined)]
    return ["all", "", *rows, size(read) if read else "", seconds(report.seconds), ""]


def accounting(report: RunReport) -> Html | None:
    """Where every row went, as a bar and as a sum."""
    shown = [dataset for dataset in report.datasets if published(dataset) and dataset.counts.read]
    if not shown:
        return None
    accounts = [_account(dataset) for dataset in shown]
    return _section("Where every row went", tag("div", accounts, class_="panel rows"))


def _account(dataset: DatasetReport) -> Html:
    counts = dataset.counts
    parts = [(name, getattr(counts, name)) for name in PARTS if getattr(counts, name)]
    bar = [tag("i", class_=name, style=f"flex:{n}") for name, n in parts]
    gone = f"{counted(counts.replaced, 'row')} of an earlier version taken out first"
    return tag(
        "div",
        tag("h3", dataset.dataset),
        tag("div", bar, class_="bar", aria_hidden="true"),
        tag("p", _sum(counts, parts), class_="sum"),
        tag("p", gone, class_="quiet") if counts.replaced else None,
    )


def _sum(counts: Accounting, parts: Sequence[tuple[str, int]]) -> list[Child]:
    terms: list[Child] = [tag("span", f"{count(counts.read)} read")]
    for number, (name, rows) in enumerate(parts):
        sign = " + " if number else " = " if counts.balanced else " \u2260 "
        key = tag("span", class_=f"key {name}", aria_hidden="true")
        terms += [sign, tag("span", key, f"{count(rows)} {name}")]
    if counts.balanced:
        return [*terms, " ", tag("span", "\u2713 adds up", class_="verdict")]
    return [*terms, " ", tag("span", "\u2715 does not add up", class_="verdict wrong")]


def contracts(report: RunReport) -> Html | None:
    """Broken rules, what became of the rows, and where the quarantine is."""
    rows: list[list[Child]] = [
        [
            [dataset.dataset, tag("small", rule.rule)],
            rule.reason,
            count(rule.rows),
            FATES.get(rule.on_violation, rule.on_violation),
        ]
        for dataset in report.datasets
        for rule in dataset.rules
    ]
    files: list[Child] = [
        [
            tag("dt", f"{dataset.dataset}: rows put aside"),
            tag("dd", tag("code", dataset.quarantine)),
        ]
        for dataset in report.datasets
        if dataset.quarantine
    ]
    if not rows and not files:
        return None
    columns = [_Column("Dataset"), _Column("Broken rule"), _Column("Rows", numeric=True)]
    return _section(
        "Contracts",
        _table([*columns, _Column("What became of them")], rows) if rows else None,
        tag("dl", files, class_="panel places") if files else None,
    )


def repairs(report: RunReport) -> Html | None:
    """What was mended or guessed of files while they were read."""
    found = {d.dataset: [f"{r.verb} {r}" for r in d.repairs] for d in report.datasets}
    return _lists("Repairs", found)


def schema_changes(report: RunReport) -> Html | None:
    """What the tables' schemas became."""
    return _lists("Schema changes", {d.dataset: d.schema_changes for d in report.datasets})


def _lists(title: str, found: Mapping[str, Sequence[str]]) -> Html | None:
    """A list for each dataset that has something to tell; None where none has."""
    shown = [
        tag(
            "div",
            tag("h3", name),
            tag("ul", [tag("li", line) for line in lines]),
            class_="panel",
        )
        for name, lines in found.items()
        if lines
    ]
    return _section(title, shown) if shown else None


def transformations(report: RunReport) -> Html | None:
    """What was made from the tables, and the checks that guard it."""
    if not report.transformations:
        return None
    columns = [_Column("Transformation"), _Column("Status"), _Column("Checks")]
    columns += [_Column("Rows", numeric=True), _Column("Time", numeric=True)]
    rows = [_transformation_row(part) for part in report.transformations]
    return _section("Transformations", _table(columns, rows))


def _transformation_row(part: TransformationReport) -> list[Child]:
    reads = f"reads {', '.join(part.reads)}" if part.reads else ""
    about = tag("small", _facts(_table_of(part.table, part.name), part.kind, reads))
    why = tag("small", part.reason) if part.reason and part.status != "failed" else None
    worked = part.status in ("built", "failed")
    return [
        [part.name, about],
        tag("div", pill(part.status), why),
        tag("div", _checks(part.checks)) if part.checks else "",
        count(part.rows) if part.rows is not None else "",
        seconds(part.seconds) if worked else "",
    ]


def _checks(checks: Sequence[CheckReport]) -> list[Child]:
    passed = sum(check.passed for check in checks)
    failed: list[Child] = [
        tag("small", tag("strong", f"\u2715 {check.check}"), f" {check.detail}".rstrip())
        for check in checks
        if not check.passed
    ]
    return [tag("span", f"{passed} of {len(checks)} passed", class_="whole"), *failed]


def durations(report: RunReport) -> Html | None:
    """How long each part took, as bars; parts may have run at the same time."""
    parts = [(d.dataset, d.seconds) for d in report.datasets if d.seconds]
    parts += [(t.name, t.seconds) for t in report.transformations if t.seconds]
    if len(parts) < 2:
        return None
    longest = max(duration for _, duration in parts)
    bars = [_duration(name, duration, duration / longest) for name, duration in parts]
    return _section("Time", tag("div", bars, class_="panel durations"))


def _duration(name: str, duration: float, share: float) -> Html:
    filled = tag("i", class_="time", style=f"width:{100 * share:.1f}%")
    return tag(
        "div",
        tag("span", name, class_="name"),
        tag("span", filled, class_="bar", aria_hidden="true"),
        tag("span", seconds(duration), class_="number"),
    )


def earlier(report: RunReport, history: Sequence[RunReport]) -> Html | None:
    """Other runs of the pipeline."""
    others = [other for other in history if other.run_id != report.run_id]
    if not others:
        return None
    columns = [_Column("Run"), _Column("Status")]
    columns += [_Column(name, numeric=True) for name in ("Loaded", "Quarantined", "Time")]
    rows: list[list[Child]] = []
    for other in others:
        counts = total_counts(other)
        rows.append(
            [
                [moment(other.started), tag("small", other.run_id)],
                pill("nothing new" if other.idle else other.status),
                count(counts.loaded) if counts.loaded else "",
                count(counts.quarantined) if counts.quarantined else "",
                seconds(other.seconds),
            ]
        )
    return _section("Other runs", _table(columns, rows))
