"""The command that looks at a file, and drafts what a pipeline file says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from prefect_etl.cli.console import make_table, out, print_json, print_lines
from prefect_etl.cli.options import AsJson
from prefect_etl.errors import ConfigError
from prefect_etl.reporting.numbers import counted
from prefect_etl.reporting.words import printable

if TYPE_CHECKING:
    from prefect_etl.core.inspection import Fact, Inspection

_WIDTH = 40


def inspect(
    file: Annotated[str, Parameter(help="A file of any format that can be read.")],
    /,
    *,
    pin: Annotated[
        list[str] | None,
        Parameter(negative=(), help="What is known already, as KEY=VALUE: delimiter=';'."),
    ] = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], help="So many first rows.")] = 5,
    as_json: AsJson = False,
) -> int:
    """Look at a file."""
    from prefect_etl.pipeline.inspecting import inspect as look

    found = look(file, rows=limit, **pins_of(pin or ()))
    if as_json:
        print_json(asdict(found))
    else:
        _print(found)
    return 0


def pins_of(texts: Sequence[str]) -> dict[str, Any]:
    """What ``KEY=VALUE`` says; a value is as in the pipeline file.

    Raises:
        ConfigError: A text is not one, or its value is no YAML.

    Example:
        >>> pins_of(["delimiter=;", "header=false", "types={n: int64}"])
        {'delimiter': ';', 'header': False, 'types': {'n': 'int64'}}
    """
    import yaml

    pins = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise ConfigError(f"--pin {text}: not KEY=VALUE", hint="For example --pin skip=2.")
        try:
            read = yaml.safe_load(value) if value[:1] in "[{" or value.isalnum() else value
        except yaml.YAMLError as error:
            raise ConfigError(f"--pin {text}: its value is no YAML") from error
        pins[key] = read
    return pins


def _print(found: Inspection) -> None:
    print_lines(printable(found.path), *map(_fact, found.facts))
    columns = make_table("Column", "Type", "Example")
    for column in found.columns:
        columns.add_row(printable(column.name), column.type, _short(column.example))
    out().print(columns)
    if found.rows:
        rows = make_table(*(printable(column.name) for column in found.columns))
        for row in found.rows:
            rows.add_row(*map(_short, row))
        print_lines("")
        out().print(rows)
    notes = [printable(f"! {note}") for note in found.notes]
    if found.rejected:
        notes.append(f"! {counted(found.rejected, 'record')} would be put aside as unreadable")
    print_lines("", *notes) if notes else None
    print_lines("", "In the pipeline file:", *drafted(found.path, found.pins))


def drafted(path: str, pins: Mapping[str, Any]) -> list[str]:
    """The lines of a pipeline file that say what was found.

    Example:
        >>> drafted("towns.csv", {"delimiter": ";", "skip": 2})
        ['  towns:', '    path: towns.csv', '    delimiter: ;', '    skip: 2']
    """
    import yaml

    name = path.rpartition("/")[2].partition(".")[0] or "rows"
    text = yaml.safe_dump({name: {"path": path, **pins}}, sort_keys=False, allow_unicode=True)
    return [f"  {printable(line)}" for line in text.splitlines()]


def _fact(fact: Fact) -> str:
    sure = "" if fact.confidence is None else f"  ({fact.confidence:.0%} sure)"
    return printable(f"  {fact.name:<10} {fact.value}{sure}")


def _short(text: str | None) -> str:
    if text is None:
        return ""
    shown = printable(text)
    return shown if len(shown) <= _WIDTH else f"{shown[: _WIDTH - 1]}…"
