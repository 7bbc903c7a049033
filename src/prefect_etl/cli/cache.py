"""The commands that show and forget kept results of tasks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from prefect_etl.cli.console import make_table, out, print_json, print_lines, shown_path
from prefect_etl.cli.options import AsJson
from prefect_etl.errors import ConfigError
from prefect_etl.reporting.numbers import counted, moment, size
from prefect_etl.reporting.words import printable

if TYPE_CHECKING:
    from prefect_etl.orchestration.caching.entries import Entry

Storage = Annotated[
    Path | None,
    Parameter(name="--storage", help="The folder of results; Prefect's own if not given."),
]
Task = Annotated[str | None, Parameter(name="--task", help="Of this task only, by name.")]


def list_results(*, task: Task = None, storage: Storage = None, as_json: AsJson = False) -> int:
    """List kept results, newest first."""
    from prefect_etl.orchestration.caching.entries import list_entries

    folder = _folder(storage)
    entries = [e for e in list_entries(folder) if task is None or e.task == task]
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return 0
    if not entries:
        print_lines(f"no kept results in {shown_path(folder)}")
        return 0
    table = make_table("Task", "Key", "Result", "Created", "Expires", "Size", numbers=("Size",))
    for entry in entries:
        table.add_row(*_cells(entry))
    out().print(table)
    print_lines(f"{_total(entries)} in {shown_path(folder)}")
    return 0


def clear(
    *,
    task: Task = None,
    expired: Annotated[
        bool,
        Parameter(help="Only what has expired, or is damaged.", show_default=False),
    ] = False,
    storage: Storage = None,
    yes: Annotated[
        bool, Parameter(name=["--yes", "-y"], help="Do not ask.", show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Remove kept results, so that the tasks compute them again."""
    from prefect_etl.orchestration.caching.entries import clear_entries

    folder = _folder(storage)
    if task is None and not expired and not yes and not _agreed(folder):
        print_lines("Nothing was changed.")
        return 0
    removed = clear_entries(folder, task=task, expired=expired)
    if as_json:
        print_json([asdict(entry) for entry in removed])
    else:
        print_lines(f"Removed {_total(removed)} from {shown_path(folder)}.")
    return 0


def _folder(storage: Path | None) -> Path:
    if storage is not None:
        if not storage.is_dir():
            raise ConfigError(f"there is no folder {storage}")
        return storage
    from prefect.settings.context import get_current_settings

    return get_current_settings().results.local_storage_path


def _cells(entry: Entry) -> tuple[str, ...]:
    if entry.damaged:
        return ("(damaged)", entry.path.name, "", "", "", size(entry.bytes))
    expires = "never" if entry.expires is None else moment(entry.expires)
    return (
        printable(entry.task),
        printable(entry.key),
        entry.kind,
        moment(entry.created) if entry.created else "",
        "expired" if entry.expired else expires,
        size(entry.bytes),
    )


def _total(entries: Sequence[Entry]) -> str:
    return f"{counted(len(entries), 'result')}, {size(sum(entry.bytes for entry in entries))}"


def _agreed(folder: Path) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(
            "cache clear asks before it removes everything, and nobody is there to answer",
            hint="Add --yes, or say which: --task NAME, --expired.",
        )
    answer = input(f"Remove all kept results in {folder}? Tasks compute them again. [y/N] ")
    return answer.strip().lower() in {"y", "yes"}
