"""The command that checks whether runs can work here, and says how to mend what cannot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from prefect_etl.cli.checks import Check, check_all
from prefect_etl.cli.console import out, print_json
from prefect_etl.cli.failure import FAILED
from prefect_etl.cli.options import DEFAULT_PIPELINE, AsJson, PipelineFile, pipeline_path

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(pipeline: PipelineFile = DEFAULT_PIPELINE, *, as_json: AsJson = False) -> int:
    """Check machine, settings, server, pipeline, warehouse and raw zone."""
    path = pipeline_path(pipeline)
    required = path != DEFAULT_PIPELINE
    found = []
    if as_json:
        found = list(check_all(path, required=required))
        print_json([asdict(check) for check in found])
    else:
        found = list(_printed(check_all(path, required=required)))
    return FAILED if any(check.status == "fail" for check in found) else 0


def _printed(checks: Iterable[Check]) -> Iterable[Check]:
    from rich.text import Text

    console = out()
    for check in checks:
        line = Text.assemble(
            (f"{check.status:<4}", _STYLES[check.status]), f"  {check.name:<10}  {check.detail}"
        )
        console.print(line, soft_wrap=True)
        if check.mend:
            console.print(Text(f"{'':18}{check.mend}"), soft_wrap=True)
        yield check
