"""The commands that show and forget what was loaded so far."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter

from prefect_etl.cli.console import make_table, out, print_json, print_lines
from prefect_etl.cli.options import (
    DEFAULT_PIPELINE,
    AsJson,
    NamedPipelineFile,
    PipelineFile,
    open_pipeline,
)
from prefect_etl.core.ledger import LedgerState
from prefect_etl.errors import ConfigError
from prefect_etl.reporting.numbers import count
from prefect_etl.reporting.words import printable


def show(pipeline: PipelineFile = DEFAULT_PIPELINE, *, as_json: AsJson = False) -> int:
    """Show what the ledger knows of each dataset."""
    states = open_pipeline(pipeline).state()
    if as_json:
        print_json({name: state_values(state) for name, state in states.items()})
        return 0
    table = make_table(
        "Dataset", "Version", "Units", "Columns", "Cursor", numbers=("Version", "Units", "Columns")
    )
    for name, state in states.items():
        columns = count(len(state.schema.columns)) if state.schema else ""
        cells = (count(state.version), count(len(state.units)), columns, state.cursor or "")
        table.add_row(printable(name), *cells)
    out().print(table)
    return 0


def state_values(state: LedgerState) -> dict[str, Any]:
    """A ledger state as JSON values."""
    return {
        "version": state.version,
        "lineage": state.lineage,
        "cursor": state.cursor,
        "units": {position: asdict(known.unit) for position, known in state.units.items()},
        "schema": {c.name: c.type for c in state.schema.columns} if state.schema else None,
    }


def reset(
    dataset: Annotated[str, Parameter(help="The dataset, by name.")],
    *,
    pipeline: NamedPipelineFile = DEFAULT_PIPELINE,
    yes: Annotated[
        bool, Parameter(name=["--yes", "-y"], help="Do not ask.", show_default=False)
    ] = False,
) -> int:
    """Forget what was loaded of a dataset, so that the next run loads it anew."""
    opened = open_pipeline(pipeline)
    if not yes and not _agreed(dataset):
        print_lines("Nothing was changed.")
        return 0
    opened.reset(dataset)
    print_lines(f"The next run loads {dataset} anew.")
    return 0


def _agreed(dataset: str) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"state reset {dataset} asks before it forgets, and nobody is there to answer",
            hint="Add --yes.",
        )
    answer = input(f"Forget what was loaded of {dataset}? The next run loads it anew. [y/N] ")
    return answer.strip().lower() in {"y", "yes"}
