"""All checks in the order in which one depends on the other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prefect_etl.cli.checks.finding import Check, failed
from prefect_etl.cli.checks.machine import check_disk, check_memory, check_versions
from prefect_etl.cli.checks.pipeline import check_pipeline, check_raw_zone, check_warehouse
from prefect_etl.cli.checks.resources import check_resources
from prefect_etl.cli.checks.surroundings import check_server, check_settings, environment
from prefect_etl.config.settings import LoadedSettings, load_settings_with_origins
from prefect_etl.errors import EtlError


def check_all(path: Path, *, required: bool) -> Iterable[Check]:
    """Check everything that a run of the pipeline would need.

    Args:
        path: The pipeline file.
        required: Whether it was asked for; else its absence is no fault.
    """
    yield from check_versions()
    root = path.absolute().parent
    try:
        loaded = load_settings_with_origins(root)
    except EtlError as error:
        yield failed("settings", error)
        return
    settings = loaded.settings
    yield from check_settings(loaded, environment())
    yield check_memory(settings.memory_limit)
    yield check_disk(settings.data_folder(root))
    yield check_server(settings.home)
    yield from check_resources()
    if path.exists() or required:
        yield from _check_project(path, loaded)
    else:
        mend = "Make a project with: prefect-etl init DIR"
        yield Check("pipeline", "warn", f"there is no {path} here", mend)


def _check_project(path: Path, loaded: LoadedSettings) -> Iterable[Check]:
    from prefect_etl.pipeline.spec import load_pipeline

    settings = loaded.settings
    try:
        spec = load_pipeline(path, settings.connection_uris())
    except EtlError as error:
        yield failed("pipeline", error)
        return
    yield check_pipeline(spec)
    yield check_warehouse(spec)
    yield from check_raw_zone(spec, settings.data_folder(spec.root))
