"""The command that drafts a contract."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from prefect_etl.cli.console import print_json, print_lines
from prefect_etl.cli.inspect import pins_of
from prefect_etl.cli.options import AsJson


def infer(
    file: Annotated[str, Parameter(help="A file, folder or glob, or a connection's URI.")],
    /,
    *,
    pin: Annotated[
        list[str] | None,
        Parameter(negative=(), help="How to read it, as KEY=VALUE: delimiter=';', table=orders."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Draft a contract from data."""
    import yaml

    from prefect_etl.pipeline.inferring import infer as inferred
    from prefect_etl.pipeline.reading import read

    found = {"contract": inferred(read(file, **pins_of(pin or ())).table)}
    if as_json:
        print_json(found)
    else:
        print_lines(yaml.safe_dump(found, sort_keys=False, allow_unicode=False).rstrip())
    return 0
