"""The sentences that the terminal, the Markdown and the HTML report share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from unicodedata import category

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.report import DatasetReport, RunReport
from prefect_etl.reporting.numbers import count, counted, seconds

# Where rows can go, in the order in which the sum is told.
PARTS = (
    "inserted",
    "updated",
    "unchanged",
    "deleted",
    "superseded",
    "filtered",
    "quarantined",
)
FATES = {"quarantine": "put aside", "warn": "loaded all the same", "fail": "refused the load"}
_HARMLESS = "\n\t"
_LOCAL_FILE = re.compile(r"^[a-z][a-z0-9+]*:///(?=/)")
# Control characters would reach the terminal; direction marks make text look like other text.
_UNPRINTABLE = ("Cc", "Cf", "Cs")
_JOINERS = "\u200c\u200d\u00ad"


def printable(text: str) -> str:
    r"""Text from data, safe to print: control characters and direction marks are replaced.

    Example:
        >>> printable("a\x1b[31mb")
        'a�[31mb'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "\ufffd" if category(c) in _UNPRINTABLE and c not in _HARMLESS + _JOINERS else c
        for c in text
    )


def equation(counts: Accounting) -> str:
    """Where every row went, as a sum.

    Example:
        >>> equation(Accounting(read=1458, inserted=1455, quarantined=3))
        '1,458 read = 1,455 inserted + 3 quarantined'
    """
    parts = [f"{count(n)} {name}" for name in PARTS if (n := getattr(counts, name))]
    sign = "=" if counts.balanced else "\u2260"
    gone = f"; {count(counts.missing)} missing at the source" if counts.missing else ""
    return f"{count(counts.read)} read {sign} {' + '.join(parts) or '0'}{gone}"


def headline(report: RunReport) -> str:
    """How the run ended, in one line.

    Example:
        >>> from datetime import datetime
        >>> headline(RunReport("r1", "flights", "duckdb:///w.duckdb", "completed", datetime.now()))
        'flights: nothing new (0 ms)'
    """
    took = seconds(report.seconds)
    if report.idle:
        parts = [(len(report.datasets), "dataset"), (len(report.transformations), "transformation")]
        same = " and ".join(counted(n, noun) for n, noun in parts if n)
        return f"{report.pipeline}: nothing new ({same + ' unchanged, ' if same else ''}{took})"
    so_far = {"completed": "in", "failed": "after", "interrupted": "after", "running": "for"}
    said = f"{report.pipeline}: {report.status} {so_far[report.status]} {took}"
    return said + (f": {', '.join(report.failures)}" if report.failures else "")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that failed: its name, what is wrong, what to do next."""

    name: str
    message: str
    hint: str = ""


def problems(report: RunReport) -> Iterator[Problem]:
    """Everything that failed, the run as a whole first."""
    told = {d.reason for d in report.datasets} | {t.reason for t in report.transformations}
    if report.error and report.error not in told:
        yield Problem(report.pipeline, report.error)
    for dataset in report.datasets:
        if dataset.status == "failed":
            yield Problem(dataset.dataset, dataset.reason, dataset.hint)
    for part in report.transformations:
        if part.status == "failed":
            yield Problem(part.name, part.reason, part.hint)


def published(dataset: DatasetReport) -> bool:
    """Whether the run changed the dataset's table."""
    return dataset.status in ("loaded", "replayed")


def places(report: RunReport) -> dict[str, str]:
    """Where to look further: the warehouse, and the report's links.

    A local file is named by its path, which other programs understand.

    Example:
        >>> from datetime import datetime
        >>> places(RunReport("r", "p", "duckdb:////a/w.duckdb", "completed", datetime.now()))
        {'warehouse': '/a/w.duckdb'}
    """
    return {"warehouse": _LOCAL_FILE.sub("", report.destination), **report.links}


def rows_read(dataset: DatasetReport) -> int | None:
    """Rows read at the source; None where nothing was."""
    return dataset.counts.read if published(dataset) else dataset.counts.read or None


def total_counts(report: RunReport) -> Accounting:
    """The rows of the datasets that were published.

    A failed load moved nothing, so its rows are not in the sum.
    """
    return sum((d.counts for d in report.datasets if published(d)), Accounting())
