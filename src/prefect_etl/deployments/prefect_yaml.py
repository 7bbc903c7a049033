"""``prefect.yaml`` for those who prefer ``prefect deploy``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect_etl.deployments.deployment import Deployment
from prefect_etl.deployments.production import Production
from prefect_etl.errors import ConfigError

FILE = "prefect.yaml"
_HEAD = """\
# Written by `prefect-etl deploy --yaml`, which writes it again; deploy it with
# `prefect deploy --all`. It holds no secrets: connections come from the workers' environment.
# Change `pull` to a git_clone step where the project is not on the workers' machines.
"""


def render(production: Production) -> str:
    """The text of the file.

    Prefect's own command knows a limit for each deployment, none that the three share, and no
    automation that marks dead runs: those need ``prefect-etl deploy``.
    """
    import yaml
    from prefect import __version__

    content = {
        "name": production.pipeline,
        "prefect-version": __version__,
        "pull": production.deployments[0].pull_steps,
        "deployments": [_entry(deployment) for deployment in production.deployments],
    }
    return _HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def write(production: Production, folder: Path) -> tuple[Path, bool]:
    """Write the file into a folder.

    Returns:
        Its path, and whether it changed.

    Raises:
        ConfigError: One is there that somebody else wrote.
    """
    path = folder / FILE
    text = render(production)
    present = path.read_text("utf-8") if path.exists() else None
    if present == text:
        return path, False
    if present is not None and not present.startswith(_HEAD.partition(",")[0]):
        raise ConfigError(
            f"{path} was not written by prefect-etl, and is kept as it is",
            hint="Move it away, or add to it what --yaml writes elsewhere.",
        )
    path.write_text(text, "utf-8")
    return path, True


def _entry(deployment: Deployment) -> dict[str, Any]:
    return {
        "name": deployment.name,
        "entrypoint": deployment.entrypoint,
        "description": deployment.description,
        "version": deployment.version,
        "tags": list(deployment.tags),
        "parameters": dict(deployment.parameters),
        "schedules": [
            dict(schedule.when)
            | ({"parameters": dict(schedule.parameters)} if schedule.parameters else {})
            for schedule in deployment.schedules
        ],
        "concurrency_limit": {"limit": 1, "collision_strategy": deployment.collision},
        "work_pool": {
            "name": deployment.work_pool,
            "job_variables": {"env": deployment.environment},
        },
    }
