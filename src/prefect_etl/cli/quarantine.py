"""The commands that show, export and replay rows that were put aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from prefect_etl.cli.console import make_table, out, print_json, print_lines
from prefect_etl.cli.failure import FAILED, INTERRUPTED
from prefect_etl.cli.options import (
    DEFAULT_PIPELINE,
    AsJson,
    NamedPipelineFile,
    PipelineFile,
    open_pipeline,
    pipeline_path,
)
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import ConfigError
from prefect_etl.reporting.numbers import count, counted
from prefect_etl.reporting.words import printable

if TYPE_CHECKING:
    from prefect_etl.pipeline.quarantine import QuarantineEntry

# What is told before the values of a row; see prefect_etl.pipeline.rejected.
_TOLD = ("_rules", "_reasons", "_source", "_row", "_line", "_run_id")
_NAME = "A dataset, a NAME of the list, or DATASET/NAME"

OfRule = Annotated[str | None, Parameter(help="Only rows that broke this rule, as distance.ge.")]
OfSource = Annotated[str | None, Parameter(help="Only rows of this file, as in the source.")]


def list_files(pipeline: PipelineFile = DEFAULT_PIPELINE, *, as_json: AsJson = False) -> int:
    """List quarantine files, newest first."""
    entries = _newest_first(_entries(pipeline))
    if as_json:
        print_json([asdict(entry) for entry in entries])
    elif not entries:
        print_lines("no rows in quarantine")
    else:
        table = make_table("Dataset", "Name", "Rows", "Load", "State", numbers=("Rows",))
        for entry in entries:
            published = "published" if entry.loaded else "failed"
            cells = (entry.name, count(entry.rows), published, printable(entry.closed or "open"))
            table.add_row(printable(entry.dataset), *cells)
        out().print(table)
        still = [entry for entry in entries if not entry.closed]
        waiting = counted(sum(entry.rows for entry in still), "row")
        print_lines(f"{len(still)} open with {waiting}, {len(entries) - len(still)} closed")
    return 0


def show(
    name: Annotated[str | None, Parameter(help=f"{_NAME}; the newest if not given.")] = None,
    *,
    pipeline: NamedPipelineFile = DEFAULT_PIPELINE,
    rule: OfRule = None,
    source: OfSource = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], help="At most so many rows.")] = 20,
    as_json: AsJson = False,
) -> int:
    """Show the rows of one quarantine file."""
    entries = _newest_first(_entries(pipeline))
    if not entries and name is None:
        if as_json:
            print_json([])
        else:
            print_lines("no rows in quarantine")
        return 0
    entry = choose(entries, name)
    rows = read_rows(entry.path, limit, rule, source)
    if as_json:
        print_json(rows)
        return 0
    state = f" ({printable(entry.closed)})" if entry.closed else ""
    print_lines(
        *(line for row in rows for line in described(row)),
        f"{len(rows)} of {counted(entry.rows, 'row')} of {printable(entry.dataset)}{state}",
        entry.path,
    )
    return 0


def export(
    name: Annotated[str, Parameter(help=f"{_NAME}.")],
    *,
    to: Annotated[Path, Parameter(help="A new file: .csv or .parquet.")],
    pipeline: NamedPipelineFile = DEFAULT_PIPELINE,
    rule: OfRule = None,
    source: OfSource = None,
    escape_formulas: Annotated[
        bool,
        Parameter(
            help="Put ' before text that begins with = + - @, a tab or a line end, so that no "
            "spreadsheet takes it for a formula. It changes those values, so it is off by default.",
            negative=(),
            show_default=False,
        ),
    ] = False,
) -> int:
    """Write the rows of one quarantine file to CSV or Parquet."""
    from prefect_etl.engine.duckdb import Session
    from prefect_etl.pipeline.quarantine_export import export_rows, select_rows

    entry = choose(_newest_first(_entries(pipeline)), name)
    session = Session(threads=1)
    try:
        rows = select_rows(entry.path, rule, source)
        written = export_rows(session, rows, to, escape_formulas=escape_formulas)
    finally:
        session.close()
    print_lines(f"{counted(written, 'row')} of {printable(entry.dataset)} in {to}")
    return 0


def replay(
    name: Annotated[str | None, Parameter(help=f"{_NAME}; all that is open if not given.")] = None,
    *,
    pipeline: NamedPipelineFile = DEFAULT_PIPELINE,
    as_json: AsJson = False,
) -> int:
    """Load the rows that satisfy the contract now, exactly once, and close their files."""
    report = open_pipeline(pipeline).replay(name)
    if as_json:
        print_json(report.as_dict())
    elif not report.datasets:
        print_lines("nothing is open in quarantine")
    else:
        from prefect_etl.reporting.terminal import render_report

        render_report(report, out())
    return {"completed": 0, "interrupted": INTERRUPTED}.get(report.status, FAILED)


def _entries(pipeline: Path) -> list[QuarantineEntry]:
    """The files of a pipeline, and those of flows beside it; these alone if there is no pipeline.

    Raises:
        ConfigError: There is neither, or the pipeline file or the settings are wrong.
    """
    from prefect_etl.config.settings import load_settings
    from prefect_etl.pipeline.flow_quarantine import flow_quarantine

    file = pipeline_path(pipeline)
    found = flow_quarantine(load_settings(file.parent).data_folder(file.parent)).entries()
    if found and not file.exists():
        return found
    return open_pipeline(pipeline).quarantine() + found


def choose(entries: Sequence[QuarantineEntry], name: str | None) -> QuarantineEntry:
    """The file that is meant: the newest of a dataset, or the one of a name.

    Args:
        entries: All files, newest first.
        name: What was asked for; the newest of all if None.

    Raises:
        ConfigError: There is none, or more than one of that name.
    """
    if name is None:
        return entries[0]
    of_dataset = [entry for entry in entries if entry.dataset == name]
    if of_dataset:
        return of_dataset[0]
    named = [entry for entry in entries if name in (entry.name, f"{entry.dataset}/{entry.name}")]
    if not named:
        known = {entry.dataset for entry in entries} | {entry.name for entry in entries}
        raise ConfigError(
            f"nothing is in quarantine as {name}{did_you_mean(name, known)}",
            hint="See `prefect-etl quarantine list`.",
        )
    if len(named) > 1:
        choices = ", ".join(f"{entry.dataset}/{entry.name}" for entry in named)
        raise ConfigError(f"{name} is the name of several files", hint=f"Say which: {choices}.")
    return named[0]


def read_rows(
    path: str, limit: int, rule: str | None = None, source: str | None = None
) -> list[dict[str, Any]]:
    """The first rows of a quarantine file.

    Raises:
        StorageError: The file cannot be read.
    """
    import duckdb

    from prefect_etl.engine.duckdb import Session, storage_error
    from prefect_etl.pipeline.quarantine_export import select_rows

    session = Session(threads=1)
    try:
        with session.cursor() as cursor:
            found = cursor.execute(f"{select_rows(path, rule, source)} LIMIT {int(limit)}")
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error as error:
        raise storage_error(error, path) from error
    finally:
        session.close()


def described(row: dict[str, Any]) -> list[str]:
    """A row in lines: its place and what is wrong with it, then its values.

    Example:
        >>> described({"n": -1, "_rules": ["n.ge"], "_reasons": ["n is below 0"],
        ...            "_source": "a.csv", "_row": 3, "_line": 12, "_run_id": "r"})
        ['a.csv line 12: n is below 0 (n.ge)', '  n=-1', '']
    """
    told = zip(_listed(row.get("_reasons")), _listed(row.get("_rules")), strict=False)
    why = "; ".join(f"{reason} ({rule})" for reason, rule in told)
    text, place = row.get("_text"), f"row {row.get('_row')}"
    if row.get("_line") is not None:
        place = f"line {row['_line']}"
    elif text is not None:
        place = "somewhere"
    shown = {name: value for name, value in row.items() if name not in _TOLD}
    if text is not None:  # it could not be read, so it has no columns
        shown = {"_text": text}
    else:
        shown = {n: v for n, v in shown.items() if not (n in ("_text", "_key") and v is None)}
    values = [f"{name}={value}" for name, value in shown.items()]
    return [
        printable(f"{row.get('_source')} {place}: {why}"),
        "  " + printable(" ".join(values)),
        "",
    ]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _newest_first(entries: Sequence[QuarantineEntry]) -> list[QuarantineEntry]:
    # A run's id begins with the time of its start.
    return sorted(entries, key=lambda entry: (entry.run_id, entry.version), reverse=True)
