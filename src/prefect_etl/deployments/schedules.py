"""Schedules of settings in Prefect's spelling."""

from __future__ import annotations

from typing import Any

from prefect_etl.config.deployment import DeploymentSettings, ScheduleSettings
from prefect_etl.deployments.deployment import Schedule
from prefect_etl.errors import ConfigError

# A Monday at midnight: what is not anchored begins anew whenever it is deployed.
_ANCHOR = "2024-01-01T00:00:00"


def schedules_of(flow: str, pipeline: str, settings: DeploymentSettings) -> tuple[Schedule, ...]:
    """When a flow of a pipeline runs.

    Raises:
        ConfigError: A cron expression is wrong.

    Example:
        >>> settings = DeploymentSettings(
        ...     timezone="Europe/Paris", schedules=[{"cron": "0 6 * * *"}]
        ... )
        >>> dict(schedules_of("etl", "shop", settings)[0].when)
        {'cron': '0 6 * * *', 'timezone': 'Europe/Paris', 'day_or': True}
        >>> schedules_of("transform", "shop", settings)
        ()
    """
    return tuple(
        Schedule(_when(given, given.timezone or settings.timezone), given.parameters)
        for given in settings.schedules
        if given.flow == flow and given.pipeline in (None, pipeline)
    )


def _when(given: ScheduleSettings, timezone: str) -> dict[str, Any]:
    from prefect.client.schemas.schedules import CronSchedule

    if given.cron is None:
        return {
            "interval": given.interval,
            "anchor_date": _midnight(timezone),
            "timezone": timezone,
        }
    try:
        schedule = CronSchedule(cron=given.cron, timezone=timezone)
    except ValueError as error:
        raise ConfigError(
            f"deployment.schedules: {given.cron!r} is no cron expression",
            hint="Five fields: minute, hour, day, month, weekday; such as 0 6 * * MON-FRI.",
        ) from error
    return {"cron": schedule.cron, "timezone": timezone, "day_or": schedule.day_or}


def _midnight(timezone: str) -> str:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.fromisoformat(_ANCHOR).replace(tzinfo=ZoneInfo(timezone)).isoformat()
