"""Finds and reads the places that settings come from, each as a layer of plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_etl.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

SETTINGS_FILE = "prefect_etl.toml"
PREFIX = "PREFECT_ETL_"
ENVIRONMENTS = ("dev", "staging", "production")

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """One place that gives settings.

    Attributes:
        label: The place, for people: a path, or ``environment``.
        values: Setting: raw value.
        overlays: Environment: the values that overlay ``values`` in it.
        variables: Whether settings are spelled as variables there (``PREFECT_ETL_…``).
    """

    label: str
    values: Values
    overlays: Mapping[str, Values]
    variables: bool = False

    def selected(self, environment: str) -> Values:
        """The values in one environment."""
        return merged([self.overlays.get(environment, {}), self.values])

    def spell(self, key: str) -> str:
        """A setting as it is written there, with the place."""
        if self.variables:
            return f"{PREFIX}{key.upper().replace('.', '__')} ({self.label})"
        return f"{self.label}: {key}"


def find(name: str, folder: Path) -> Path | None:
    """The nearest file of a name: in the folder, its parents, then the current folder."""
    folder = folder.absolute()
    places = [folder, *folder.parents, Path.cwd()]
    return next((place / name for place in places if (place / name).is_file()), None)


def read_layers(model: type[BaseSettings], folder: Path, faults: list[str]) -> list[Layer]:
    """All layers that exist, the strongest first; what is wrong with them goes to ``faults``."""
    keys = tuple(model.model_fields)
    layers = [_environment(model, faults), _dotenv(model, folder, faults)]
    for name, header in ((SETTINGS_FILE, ()), ("pyproject.toml", ("tool", "prefect_etl"))):
        path = _find_with_table(name, folder) if header else find(name, folder)
        if path is not None:
            layers.append(_toml(path, header, keys, faults))
    return [layer for layer in layers if layer.values or layer.overlays]


def merged(parts: Sequence[Mapping[str, Any]]) -> Values:
    """One mapping of many, the first wins; tables are merged by their keys.

    Example:
        >>> merged([{"a": 1, "t": {"x": 1}}, {"a": 2, "t": {"x": 2, "y": 2}}])
        {'a': 1, 't': {'x': 1, 'y': 2}}
    """
    result: Values = {}
    for part in reversed(parts):
        for key, value in part.items():
            old = result.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            result[key] = {**old, **value} if both else value  # type: ignore[dict-item]
    return {key: result[key] for part in parts for key in part}


def unknown(key: str, keys: Iterable[str]) -> str:
    """What to say of a key that is none, with the nearest right one."""
    near = get_close_matches(key, list(keys), n=1, cutoff=0.6)
    return "unknown setting" + (f"; did you mean {near[0]}?" if near else "")


def unknown_variables(names: Iterable[str], keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Variables with our prefix that are no setting, and what to say of each.

    They are not refused: an older or newer version may share the environment.

    Example:
        >>> list(unknown_variables(["PREFECT_ETL_THREDS", "HOME"], ["threads"]))
        [('PREFECT_ETL_THREDS', 'unknown setting; did you mean PREFECT_ETL_THREADS?')]
    """
    variables = [PREFIX + key.upper() for key in keys]
    for name in sorted(names):
        upper = name.upper()
        if upper.startswith(PREFIX) and upper.partition("__")[0] not in variables:
            yield name, unknown(upper, variables)


def _environment(model: type[BaseSettings], faults: list[str]) -> Layer:
    from pydantic_settings import EnvSettingsSource, SettingsError

    try:
        values = EnvSettingsSource(model)()
    except SettingsError as error:
        faults.append(f"environment: {_not_json(error)}")
        values = {}
    return Layer("environment", values, {}, variables=True)


def _dotenv(model: type[BaseSettings], folder: Path, faults: list[str]) -> Layer:
    from pydantic_settings import DotEnvSettingsSource, SettingsError

    path = find(".env", folder)
    if path is None:
        return Layer(".env", {}, {})
    try:
        values = DotEnvSettingsSource(model, env_file=path, env_file_encoding="utf-8")()
    except SettingsError as error:
        faults.append(f"{path}: {_not_json(error)}")
        values = {}
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    # The file belongs to the whole project; what is not ours there is none of our business.
    known = {key: value for key, value in values.items() if key in model.model_fields}
    return Layer(str(path), known, {}, variables=True)


def _not_json(error: Exception) -> str:
    field = str(error).split('"')[1] if '"' in str(error) else "a variable"
    return f"{PREFIX}{field.upper()}: is not a JSON object"


def _find_with_table(name: str, folder: Path) -> Path | None:
    path = find(name, folder)
    try:
        # Most projects say nothing of us in their pyproject.toml; those cost no parse.
        return path if path and b"prefect_etl" in path.read_bytes() else None
    except OSError as error:
        raise _unreadable(path or Path(name), error) from error


def _toml(path: Path, header: Sequence[str], keys: Sequence[str], faults: list[str]) -> Layer:
    import tomllib

    try:
        table: Any = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{path}: is not valid TOML: {error}")
        return Layer(str(path), {}, {})
    for part in header:
        table = table.get(part, {})
    overlays = table.pop("environments", {})
    _check_keys(path, "", table, keys, faults)
    known = _check_overlays(path, overlays, keys, faults)
    return Layer(str(path), {key: table[key] for key in keys if key in table}, known)


def _check_overlays(
    path: Path, overlays: Any, keys: Sequence[str], faults: list[str]
) -> dict[str, Values]:
    if not isinstance(overlays, dict):
        faults.append(f"{path}: environments: should be a table of tables")
        return {}
    known: dict[str, Values] = {}
    inner = [key for key in keys if key != "environment"]
    for name, values in overlays.items():
        if name not in ENVIRONMENTS:
            faults.append(
                f"{path}: environments.{name}: should be one of {', '.join(ENVIRONMENTS)}"
            )
        elif not isinstance(values, dict):
            faults.append(f"{path}: environments.{name}: should be a table")
        else:
            _check_keys(path, f"environments.{name}.", values, inner, faults)
            known[name] = {key: values[key] for key in inner if key in values}
    return known


def _check_keys(
    path: Path, prefix: str, table: Values, keys: Sequence[str], faults: list[str]
) -> None:
    faults.extend(
        f"{path}: {prefix}{key}: {unknown(key, keys)}" for key in table if key not in keys
    )


def _unreadable(path: Path, error: Exception) -> ConfigError:
    reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
    return ConfigError(f"{path} cannot be read: {reason}", hint="Mend or remove the file.")
