"""Which Prefect API the user configured, found without importing Prefect.

The order is Prefect's own (``prefect/settings/base.py`` and ``sources.py``): environment, ``.env``,
``prefect.toml``, ``pyproject.toml``, active profile. Once Prefect is imported, it is asked.
"""

from __future__ import annotations

import os
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prefect_etl.orchestration.server.info import ServerInfo, configured

API_URL = "PREFECT_API_URL"
# Set beside PREFECT_API_URL by use_server: such an address is ours, not the user's choice.
OWN_URL = "PREFECT_ETL_SERVER_URL"


def configured_api() -> ServerInfo | None:
    """The API that environment, files or profile name, or None when there is none."""
    url = _asked_of_prefect() if "prefect.context" in sys.modules else read_from_files()
    if not url or url == os.environ.get(OWN_URL):
        return None
    return configured(url)


def _asked_of_prefect() -> str | None:
    # Importing Prefect costs seconds; here it is loaded already, maybe with other settings active.
    from prefect.settings import get_current_settings

    return get_current_settings().api.url


def read_from_files() -> str | None:
    """The address that Prefect would find, looked up without it."""
    dotenv = _dotenv()
    return (
        os.environ.get(API_URL)
        or dotenv.get(API_URL)
        or _text(_toml(Path("prefect.toml")), "api", "url")
        or _text(_toml(Path("pyproject.toml")), "tool", "prefect", "api", "url")
        or _profile(dotenv).get(API_URL)
    )


def _profile(dotenv: dict[str, str | None]) -> dict[str, str]:
    path = _profiles_path(dotenv)
    data = _toml(path)
    profiles = data.get("profiles", {})
    name = os.environ.get("PREFECT_PROFILE") or data.get("active")
    profile = profiles.get(name, {}) if isinstance(profiles, dict) else {}
    return profile if isinstance(profile, dict) else {}


def _profiles_path(dotenv: dict[str, str | None]) -> Path:
    named = (
        os.environ.get("PREFECT_PROFILES_PATH")
        or dotenv.get("PREFECT_PROFILES_PATH")
        or _text(_toml(Path("prefect.toml")), "profiles_path")
        or _text(_toml(Path("pyproject.toml")), "tool", "prefect", "profiles_path")
    )
    if named:
        return Path(named)
    if home := os.environ.get("PREFECT_HOME"):
        return Path(home) / "profiles.toml"
    own = Path("~/.prefect/profiles.toml").expanduser()
    return own if own.exists() else _packaged_profiles()


def _packaged_profiles() -> Path:
    spec = find_spec("prefect")  # a top-level name: found without importing it
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    return folder / "settings" / "profiles.toml"


def _dotenv() -> dict[str, str | None]:
    path = Path(".env")
    if not path.is_file() or "PREFECT_" not in path.read_text(encoding="utf-8", errors="replace"):
        return {}
    from dotenv import dotenv_values

    return {name.upper(): value for name, value in dotenv_values(path).items()}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # Prefect itself reports a broken file, better than we could


def _text(data: dict[str, Any], *keys: str) -> str | None:
    value: Any = data
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None
