"""The commands that write files of a project: init, schema."""

from __future__ import annotations

import json
import shlex
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from prefect_etl.cli.console import print_lines, shown_path
from prefect_etl.errors import ConfigError, StorageError

Template = Literal["flights", "blank"]


def init(
    folder: Annotated[Path, Parameter(name="DIR", help="The folder; made if it is missing.")],
    /,
    *,
    template: Annotated[
        Template, Parameter(help="flights: New York departures of January 2013. blank: a start.")
    ] = "flights",
) -> int:
    """Write a new project."""
    try:
        written = copy_template(template, folder)
    except OSError as error:
        raise StorageError(
            f"{error.filename or folder}: {error.strerror}",
            hint="Choose a folder that you may write.",
        ) from error
    steps = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(shown_path(folder))}"]
    steps += ["prefect-etl plan    # what a run would do", "prefect-etl run"]
    print_lines(
        f"Wrote the {template} project, {len(written)} files, to {folder}.",
        "Its pipeline.yaml says what is loaded, its README.md what to try.",
        "",
        "Next:",
        *(f"  {step}" for step in steps),
    )
    return 0


def copy_template(template: str, folder: Path) -> list[Path]:
    """Copy a template that ships with the package; nothing is overwritten.

    Args:
        template: Its name.
        folder: Where to; made if missing.

    Returns:
        The files that were written.

    Raises:
        ConfigError: The folder holds a file of the same name, or is none.
        OSError: The disk refused.
    """
    with as_file(files("prefect_etl") / "templates" / template) as source:
        names = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
        names = sorted(name for name in names if "__pycache__" not in name.parts)
        _refuse_to_overwrite(folder, names)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            # Bytes and nothing else: an installed package may be read-only.
            (folder / name).write_bytes((source / name).read_bytes())
    return [folder / name for name in names]


def _refuse_to_overwrite(folder: Path, names: list[Path]) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file", hint="Give the name of a folder.")
    if (folder / "pipeline.yaml").exists():
        raise ConfigError(
            f"{folder} has a pipeline.yaml already", hint="Choose another folder for a new project."
        )
    there = [str(name) for name in names if (folder / name).exists()]
    if there:
        raise ConfigError(
            f"{folder} has {', '.join(there)} already, which would be overwritten",
            hint="Choose another folder for a new project.",
        )


def schema(
    file: Annotated[
        Path | None, Parameter(help="Where to write it; standard output if not given.")
    ] = None,
) -> int:
    """Write the JSON Schema of pipeline files."""
    from prefect_etl.pipeline.spec import pipeline_schema

    text = json.dumps(pipeline_schema(), ensure_ascii=False, indent=2)
    if file is None:
        print_lines(text)
        return 0
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{file}: {error.strerror}", hint="Choose another path.") from error
    print_lines(
        f"Wrote {file}. Editors with YAML support use it by a first line in pipeline.yaml:",
        f"# yaml-language-server: $schema={file}",
    )
    return 0
