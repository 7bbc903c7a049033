"""Measures what becomes of each type of a source in a destination, by running a pipeline."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from cases import Case
from meanings import spelled
from systems import Column, System

from prefect_etl.core.report import DatasetReport
from prefect_etl.errors import EtlError
from prefect_etl.pipeline.copying import Means, Request, copy
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace

REFUSED = "refused"
# SQLite stores a number without a fraction as a whole one, which has no sign at zero.
UNSIGNED = "-0.0 became 0.0"


@dataclass(frozen=True)
class Cell:
    """What becomes of a type.

    Attributes:
        says: The type in the destination, whose values are those of the source; or ``refused``.
        reason: Why it was refused.
        changed: What came out otherwise than it went in; empty as it has to be.
    """

    says: str
    reason: str = ""
    changed: tuple[str, ...] = ()


def measure(
    source: System,
    destination: System,
    cases: Sequence[Case],
    folder: Path,
    refused: Collection[str] | None = None,
    *,
    copies: bool = False,
) -> dict[str, Cell]:
    """Load every type, and say what became of it, by title.

    Args:
        source: To read from.
        destination: To load into.
        cases: The types.
        folder: Of the pipeline.
        refused: Titles that are known to be refused: each is tried alone, the others in one table.
            None: each is tried alone.
        copies: Without a pipeline and its raw zone.
    """
    alone = [c for c in cases if refused is None or c.title in refused]
    together = [case for case in cases if case not in alone]
    tables = [(f"t{i}", [case]) for i, case in enumerate(alone)]
    tables += [("together", together)] if together else []
    prefix = destination.title[:2].lower()
    for name, part in tables:
        source.create(f"{prefix}_{name}", part)
    run = _copy if copies else _run
    reports = run(source, destination, {name: f"{prefix}_{name}" for name, _ in tables}, folder)
    found: dict[str, Cell] = {}
    for name, part in tables:
        report = reports[name]
        if report.status == "failed":
            found |= {case.title: Cell(REFUSED, _reason(report, folder)) for case in part}
            continue
        loaded = destination.columns(name)
        given = source.expected(f"{prefix}_{name}", part)
        for case, one, other in zip(part, given, loaded, strict=True):
            wanted = _values(case.meaning, one, source)
            found[case.title] = _cell(wanted, _values(case.meaning, other, destination), other[0])
    return {case.title: found[case.title] for case in cases}


def _run(
    source: System, destination: System, tables: dict[str, str], folder: Path
) -> dict[str, DatasetReport]:
    datasets = {name: source.fields(table) for name, table in tables.items()}
    spec = pipeline_from(
        name="types",
        destination=destination.uri,
        sources={"s": {"connection": source.uri, "datasets": datasets}},
        root=folder,
    )
    with open_workspace(spec, Options(concurrency=2, threads=2)) as workspace:
        report = run_pipeline(workspace)
    return {part.dataset: part for part in report.datasets}


def _copy(
    source: System, destination: System, tables: dict[str, str], folder: Path
) -> dict[str, DatasetReport]:
    found = {}
    for name, table in tables.items():
        request = Request(source.uri, destination.uri, table, into=name, mode="replace")
        status, reason = "loaded", ""
        try:
            copy(request, Means(root=folder))
        except EtlError as error:
            status, reason = "failed", error.message
        found[name] = DatasetReport(name, name, status, reason=reason)
    return found


def _cell(wanted: list[str | None], found: list[str | None], kind: str) -> Cell:
    changed = tuple(f"{w} became {f}" for w, f in zip(wanted, found, strict=True) if w != f)
    if {*changed} == {UNSIGNED}:
        return Cell(f"{kind}, as 0")
    return Cell(kind, changed=changed)


def _values(meaning: str, column: Column, system: System) -> list[str | None]:
    kind, texts = column
    return [_tried(meaning, text, single=kind == system.single) for text in texts]


def _tried(meaning: str, text: str | None, *, single: bool) -> str | None:
    try:
        return spelled(meaning, text, single=single)
    except (ValueError, ArithmeticError, KeyError) as error:
        return f"{text!r} ({type(error).__name__})"


def _reason(report: DatasetReport, folder: Path) -> str:
    """The error, without what differs from run to run."""
    text = str(report.reason).splitlines()[0].replace(str(folder), "")
    text = re.sub(rf"^{report.dataset}: ", "", text)
    text = re.sub(r"\b[a-z]{2}_t\d+\b", "t", re.sub(r"/\S*/", "", text))
    return re.sub(r"\bc0\b", "x", text)
