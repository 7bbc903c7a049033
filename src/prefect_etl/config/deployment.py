"""Settings of deployments: when, where and how often pipelines run on their own."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

FlowName = Literal["etl", "extract_raw", "transform"]

# What the flows may be told; a pipeline's path and run ids are no matter of settings.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "etl": ("only", "full_refresh"),
    "extract_raw": ("only",),
    "transform": ("only", "full_refresh"),
}
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_PART = re.compile(r"(\d+)\s*(second|minute|hour|day|week)s?", re.IGNORECASE)
_BLOCK = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")


def seconds_of(value: Any) -> Any:
    """Seconds of a length of time such as ``15 minutes``; numbers are seconds already.

    Example:
        >>> seconds_of("1 hour 30 minutes")
        5400
    """
    if not isinstance(value, str) or re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        return value
    if not re.fullmatch(rf"\s*({_PART.pattern}\s*)+", value, re.IGNORECASE):
        raise ValueError(f"should be a length of time, such as 15 minutes, not {value!r}")
    return sum(int(count) * _SECONDS[unit.lower()] for count, unit in _PART.findall(value))


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"should be a time zone, such as Europe/Paris, not {name!r}") from error
    return name


def _block(name: str) -> str:
    if not _BLOCK.fullmatch(name):
        raise ValueError(f"should be a block's type and name, such as slack-webhook/ops: {name!r}")
    return name


def _pool(name: str) -> str:
    if not name or name.lower().startswith("prefect") or set(name) & set("/%&<>"):
        raise ValueError(
            "should be a name without / % & < >; Prefect keeps those that begin with prefect"
        )
    return name


def _detection(seconds: float) -> float:
    if 0 < seconds < 90:
        raise ValueError("should be 90 seconds or more, or 0 for never: heartbeats are 30 s apart")
    return seconds


TimeZone = Annotated[str, AfterValidator(_zone)]
Seconds = Annotated[float, BeforeValidator(seconds_of)]


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ScheduleSettings(_Values):
    """One schedule of one flow.

    Example:
        >>> ScheduleSettings(cron="0 6 * * *").flow
        'etl'
        >>> ScheduleSettings(interval="15 minutes", flow="transform").interval
        900.0
    """

    cron: str | None = Field(None, description="A cron expression of five fields.")
    interval: Seconds | None = Field(
        None, ge=60, description="The time between runs, such as 15 minutes; counted from midnight."
    )
    timezone: TimeZone | None = Field(None, description="The deployment's if not given.")
    flow: FlowName = Field("etl", description="The flow that runs.")
    pipeline: str | None = Field(
        None,
        description="Only for the pipeline of this name; all that share the file if not given.",
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="What the flow is told: `only`, `full_refresh`."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.cron is None) == (self.interval is None):
            raise ValueError("a schedule needs either cron or interval")
        known = PARAMETERS[self.flow]
        if wrong := [name for name in self.parameters if name not in known]:
            raise ValueError(
                f"the flow {self.flow} takes {' and '.join(known)}, not {', '.join(wrong)}"
            )
        return self


class DeploymentSettings(_Values):
    """How ``prefect-etl deploy`` and ``serve`` make deployments.

    Example:
        >>> DeploymentSettings(schedules=[{"cron": "0 6 * * *"}]).work_pool
        'etl'
    """

    work_pool: Annotated[str, AfterValidator(_pool)] = Field(
        "etl", description="The work pool; made as one of processes if missing."
    )
    working_dir: str | None = Field(
        None,
        description="The project's folder on the workers' machines, if it is another one there.",
    )
    timezone: TimeZone = Field("UTC", description="The time zone of schedules that name none.")
    schedules: tuple[ScheduleSettings, ...] = Field(
        (), description="When flows run; cron, interval."
    )
    collision: Literal["wait", "skip"] = Field(
        "wait", description="A run that comes while its pipeline runs: waits, or is cancelled."
    )
    crashed_after: Annotated[Seconds, AfterValidator(_detection)] = Field(
        180, ge=0, description="Seconds of silence after which a run's process is dead; 0: never."
    )
    late_after: Seconds = Field(
        600, ge=60, description="Seconds that a run may be late before somebody is told."
    )
    notify: Annotated[str, AfterValidator(_block)] | None = Field(
        None, description="The Prefect block that tells of crashed and late runs: type/name."
    )
    tags: tuple[str, ...] = Field((), description="Tags of deployments and their runs.")
    version: str | None = Field(
        None, description="The deployments' version; the package's if none."
    )


def fields_at(location: tuple[int | str, ...]) -> list[str]:
    """The settings that exist where a value of ``deployment`` stands.

    Example:
        >>> "cron" in fields_at(("deployment", "schedules", 0, "crn"))
        True
    """
    model = ScheduleSettings if "schedules" in location[:-1] else DeploymentSettings
    return list(model.model_fields)
