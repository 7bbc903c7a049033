"""Parameters that several commands share, and opening the pipeline that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from prefect_etl.api import Pipeline
    from prefect_etl.config.settings import Settings

DEFAULT_PIPELINE = Path("pipeline.yaml")

PipelineFile = Annotated[
    Path, Parameter(help="The pipeline file, or the folder of a pipeline.yaml.")
]
NamedPipelineFile = Annotated[
    Path,
    Parameter(
        name=["--pipeline", "-p"], help="The pipeline file, or the folder of a pipeline.yaml."
    ),
]
AsJson = Annotated[
    bool, Parameter(name="--json", help="Print JSON, for programs.", show_default=False)
]


def pipeline_path(path: Path) -> Path:
    """The file that is meant by a path."""
    return path / DEFAULT_PIPELINE if path.is_dir() else path


def prepare(path: Path, *, verbose: bool = False) -> Settings:
    """Read the settings that hold for a pipeline file, and set up the log."""
    from prefect_etl.config.logging_config import configure_logging
    from prefect_etl.config.settings import load_settings

    settings = load_settings(path.parent)
    level = "INFO" if verbose and settings.log_level != "DEBUG" else settings.log_level
    # People read the report that the command prints; programs read the lines.
    outcomes = settings.log_format == "json" or level in {"DEBUG", "INFO"}
    configure_logging(level, settings.log_format, outcomes=outcomes)
    return settings


def open_pipeline(path: Path, *, verbose: bool = False) -> Pipeline:
    """Open a pipeline with its settings.

    Args:
        path: The pipeline file or its folder.
        verbose: Log what happens, not only what is wrong.

    Raises:
        ConfigError: The pipeline file or the settings are wrong.
    """
    path = pipeline_path(path)
    settings = prepare(path, verbose=verbose)
    from prefect_etl.api import Pipeline

    return Pipeline.load(path, settings)
