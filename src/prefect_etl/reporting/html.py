"""One self-contained HTML file a run: no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prefect_etl.core.report import RunReport
from prefect_etl.reporting.html_sections import (
    accounting,
    contracts,
    datasets,
    durations,
    earlier,
    pill,
    repairs,
    schema_changes,
    transformations,
)
from prefect_etl.reporting.markup import Child, Html, link, tag
from prefect_etl.reporting.numbers import count, counted, moment, rate, seconds, size
from prefect_etl.reporting.words import headline, places, problems, published, total_counts


def report_html(report: RunReport, history: Sequence[RunReport] = ()) -> str:
    """The report of a run as an HTML page.

    Args:
        report: What the run did.
        history: Other runs of the pipeline, newest first, to be listed below.

    Returns:
        A whole document that shows the same wherever it is opened; all text is escaped.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        # Should escaping ever fail, nothing that came in may run or call out.
        tag(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        ),
        tag("title", headline(report)),
        tag("style", Html(Path(__file__).with_name("report.css").read_text(encoding="utf-8"))),
    )
    main = tag(
        "main",
        _tiles(report),
        _problems(report),
        datasets(report),
        accounting(report),
        contracts(report),
        repairs(report),
        schema_changes(report),
        transformations(report),
        durations(report),
        earlier(report, history),
        _places(report),
    )
    body = tag("body", _header(report), main, _footer())
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(report: RunReport) -> Html:
    status = "nothing new" if report.idle else report.status
    links = [
        tag("span", link(name, address))
        for name, address in report.links.items()
        if name != "report"  # this page
    ]
    return tag(
        "header",
        tag("div", tag("h1", report.pipeline), pill(status), class_="title"),
        tag(
            "p",
            tag("span", moment(report.started)),
            tag("span", f"took {seconds(report.seconds)}"),
            tag("span", "run ", tag("code", report.run_id)),
            class_="facts",
        ),
        tag("p", links, class_="facts") if links else None,
    )


def _tiles(report: RunReport) -> Html:
    if report.idle:
        same = counted(len(report.datasets), "dataset")
        said = f"Nothing was new: {same} looked at, nothing read, nothing written."
        return tag("p", said, class_="panel note info")
    counts = total_counts(report)
    read = sum(dataset.bytes for dataset in report.datasets if published(dataset))
    tiles = {
        "rows read": count(counts.read),
        "rows loaded": count(counts.loaded),
        "quarantined": count(counts.quarantined),
        "at the source": size(read) if read else "",
        "wall time": seconds(report.seconds),
        "rows a second": rate(counts.read, report.seconds),
    }
    shown = [
        tag("div", tag("dt", name), tag("dd", value)) for name, value in tiles.items() if value
    ]
    return tag("dl", shown, class_="tiles")


def _problems(report: RunReport) -> Html | None:
    found = [
        tag(
            "div",
            tag("h3", problem.name),
            tag("p", problem.message, class_="message"),
            tag("p", problem.hint, class_="hint") if problem.hint else None,
            class_="panel problem",
        )
        for problem in problems(report)
    ]
    return tag("section", tag("h2", "What failed"), found) if found else None


def _places(report: RunReport) -> Html:
    shown: list[Child] = [
        tag("dt", "warehouse"),
        tag("dd", tag("code", places(report)["warehouse"])),
    ]
    for name, address in report.links.items():
        shown += [tag("dt", name), tag("dd", tag("code", link(address, address)))]
    return tag("section", tag("h2", "Places"), tag("dl", shown, class_="panel places"))


def _footer() -> Html:
    return tag(
        "footer", tag("p", "Times are UTC; a dataset's time is from its first read to its commit.")
    )
