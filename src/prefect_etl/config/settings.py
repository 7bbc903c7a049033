"""The settings: one frozen value, read from the environment and from files.

The strongest first:

1. variables ``PREFECT_ETL_MEMORY_LIMIT=2GiB``, ``PREFECT_ETL_CONNECTIONS__OPS=postgresql://…``,
2. the same in ``.env``,
3. ``prefect_etl.toml``,
4. the table ``[tool.prefect_etl]`` of ``pyproject.toml``.

Each file is the nearest one: in the pipeline's folder, its parents, then the current folder. In
both TOML files a table ``[environments.production]`` overlays the others of its file when
``environment`` is ``production``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from prefect_etl.config.deployment import DeploymentSettings, fields_at
from prefect_etl.config.secrets import register_secret, register_uri
from prefect_etl.config.sources import ENVIRONMENTS, PREFIX, Layer, merged, read_layers, unknown
from prefect_etl.errors import ConfigError

_MEMORY = re.compile(r"\d+(\.\d+)?\s*([KMGT]i?B)", re.IGNORECASE)
_CONNECTION_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_SECRET = ("connections", "metrics_password")
_WORDING = {
    "int_parsing": "should be a whole number",
    "float_parsing": "should be a number",
    "string_type": "should be a text",
    "mapping_type": "should be a table",
}


def _memory(text: str) -> str:
    if not _MEMORY.fullmatch(text) or not float(re.split(r"[\sA-Za-z]", text)[0]):
        raise ValueError(f"should be a size with its unit, such as 1GiB or 512MB, not {text!r}")
    return text


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _forever(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() == "forever" else value


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches what listens at an address.

    Example:
        >>> is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _cores() -> int:
    # Containers and batch systems give a process fewer cores than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Settings(BaseSettings):
    """How runs use the machine; what they do is in the pipeline file.

    The constructor reads nothing but its arguments; :func:`load_settings` reads the environment and
    the files.

    Example:
        >>> Settings(memory_limit="2GiB").memory_limit
        '2GiB'
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        validate_default=True,
    )

    environment: Literal["dev", "staging", "production"] = Field(
        "dev", description="Selects the [environments.NAME] table of the settings files."
    )
    home: Path = Field(
        Path("~/.prefect_etl"), description="Folder of the user: the local server lives here."
    )
    data_dir: Path = Field(
        Path(".prefect_etl"),
        description="Folder of the raw zone, quarantine, run log and reports; relative to the "
        "pipeline file.",
    )
    memory_limit: Annotated[str, AfterValidator(_memory)] = Field(
        "1GiB", description="What DuckDB may use in one process: 1GiB = 1024 MiB, 1GB = 1000 MB."
    )
    threads: int | None = Field(
        None, ge=1, description="DuckDB's worker threads; all cores if not given."
    )
    max_concurrency: int = Field(
        default_factory=_cores,
        ge=1,
        description="Datasets and transformations at once; the number of cores if not given.",
    )
    lock_timeout: float = Field(
        60.0, ge=0, description="Seconds to wait for a database file that another process holds."
    )
    raw_retention: Annotated[float | None, BeforeValidator(_forever)] = Field(
        30.0,
        ge=0,
        description="Days that the raw zone keeps what was loaded; 0 keeps nothing longer than "
        "its run needs it, forever keeps all.",
    )
    server_idle_minutes: float = Field(
        60.0, ge=0, description="Minutes without use after which the local server stops; 0: never."
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of a Prometheus endpoint while a process runs; 0 takes a free one.",
    )
    metrics_password: SecretStr | None = Field(
        None,
        min_length=8,
        description="Who reads the endpoint has to give it, as the user prefect-etl.",
    )
    metrics_address: str = Field(
        "127.0.0.1",
        description="Address of that endpoint; one that others reach needs metrics_password.",
    )
    metrics_retention: float = Field(
        30.0, ge=0, description="Days that the metrics of a run are kept in the home folder."
    )
    otlp_endpoint: str | None = Field(
        None, description="Base URL of an OpenTelemetry collector (OTLP over HTTP) for metrics."
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = (
        Field("WARNING", description="The least level of log lines on stderr.")
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="Log lines for people, or JSON lines for programs."
    )
    connections: Mapping[str, SecretStr] = Field(
        default_factory=dict, description="Name: URI; a pipeline file may use the name."
    )
    deployment: DeploymentSettings = Field(
        default_factory=DeploymentSettings,
        description="Schedules, work pool and the like; docs/deployment.md lists them.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only arguments: a value that reads its surroundings cannot be tested or compared."""
        return (init_settings,)

    @field_validator("home", "data_dir")
    @classmethod
    def _expand(cls, path: Path) -> Path:
        return path.expanduser()

    @field_validator("connections")
    @classmethod
    def _names(cls, connections: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        wrong = [name for name in connections if not _CONNECTION_NAME.fullmatch(name)]
        if wrong:
            raise ValueError(
                "a connection's name is made of lower-case letters, digits, - and _, and begins "
                f"with a letter, unlike {', '.join(wrong)}"
            )
        return connections

    @field_validator("metrics_address")
    @classmethod
    def _wider_with_a_password(cls, address: str, info: ValidationInfo) -> str:
        known = info.data  # the fields above
        if known.get("metrics_port") is None or is_loopback(address):
            return address
        if known.get("metrics_password") is None:
            raise ValueError(
                "is where others reach the metrics: set metrics_password, too, or leave it at "
                "127.0.0.1"
            )
        return address

    def data_folder(self, root: Path) -> Path:
        """Where the raw zone, quarantine, run log and reports of a pipeline are.

        Args:
            root: The pipeline file's folder.
        """
        return root.absolute() / self.data_dir

    def connection_uris(self) -> dict[str, str]:
        """The connections in plain text, for those who open them; never to be printed."""
        return {name: uri.get_secret_value() for name, uri in self.connections.items()}


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings, and for each that was given the place that gave it."""

    settings: Settings
    origins: Mapping[str, str]


def load_settings(folder: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings.

    Args:
        folder: Where the search for files begins, the pipeline's folder; the current one if None.
        overrides: Settings that win over all places.

    Raises:
        ConfigError: Anything is wrong, with all mistakes and their places.
    """
    return load_settings_with_origins(folder, **overrides).settings


def load_settings_with_origins(folder: Path | None = None, **overrides: Any) -> LoadedSettings:
    """As :func:`load_settings`, and say where each value comes from."""
    faults: list[str] = []
    given = Layer("arguments", overrides, {})
    layers = [given, *read_layers(Settings, folder or Path.cwd(), faults)]
    environment = str(merged([layer.values for layer in layers]).get("environment", "dev"))
    parts = [layer.selected(environment) for layer in layers]
    try:
        settings = Settings(**merged(parts))
    except ValidationError as error:
        faults.extend(_explain(error, layers, parts))
    if faults:
        raise ConfigError(
            "the settings are wrong:\n" + "\n".join(f"  {fault}" for fault in faults),
            hint="Mend what is named above; docs/running.md lists all settings.",
        )
    for uri in settings.connection_uris().values():
        register_uri(uri)
    if settings.metrics_password is not None:
        register_secret(settings.metrics_password.get_secret_value())
    origins = {
        key: next(layer.label for layer, part in zip(layers, parts, strict=True) if key in part)
        for key in merged(parts)
    }
    return LoadedSettings(settings, origins)


def _explain(error: ValidationError, layers: list[Layer], parts: list[Any]) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False):
        keys = [str(key) for key in fault["loc"]]
        layer = next(
            (layer for layer, part in zip(layers, parts, strict=True) if _holds(part, keys)),
            layers[0],
        )
        lines.append(f"{layer.spell('.'.join(keys))}: {_say(fault, keys[0], keys[-1])}")
    return lines


def _holds(values: Any, keys: list[str]) -> bool:
    for key in keys:
        if isinstance(values, list):
            return True  # a list comes from one place as a whole
        if not isinstance(values, Mapping) or key not in values:
            return False
        values = values[key]
    return True


def _say(fault: Any, key: str, last: str) -> str:
    if fault["type"] == "extra_forbidden":
        return unknown(last, Settings.model_fields if key == last else fields_at(fault["loc"]))
    plain = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    text = _WORDING.get(fault["type"], plain)
    text = text[0].lower() + text[1:]
    given = fault["input"]
    if key == "environment" and isinstance(given, str):
        return (
            f"{text}, not {given!r}{unknown(given, ENVIRONMENTS).removeprefix('unknown setting')}"
        )
    # A connection's value may be a password in the wrong place; it is not shown.
    shown = key not in _SECRET and isinstance(given, str | int | float) and repr(given) not in text
    return f"{text}, not {given!r}" if shown else text
