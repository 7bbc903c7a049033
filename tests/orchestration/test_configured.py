"""The user's choice of an API is found as Prefect finds it, but without importing Prefect."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_etl.orchestration.server.configured import configured_api, read_from_files
from prefect_etl.orchestration.server.info import configured

URL = "http://chosen.example/api"
OTHER = "http://other.example/api"
PROFILES = f"""
active = "mine"
[profiles.mine]
PREFECT_API_URL = "{URL}"
[profiles.other]
PREFECT_API_URL = "{OTHER}"
[profiles.none]
PREFECT_LOGGING_LEVEL = "INFO"
"""
CASES: dict[str, tuple[dict[str, str], dict[str, str], str | None]] = {
    "nothing": ({}, {}, None),
    "environment": ({}, {"PREFECT_API_URL": URL}, URL),
    "cloud": (
        {},
        {"PREFECT_API_URL": "https://api.prefect.cloud/api/accounts/a/workspaces/w"},
        "https://api.prefect.cloud/api/accounts/a/workspaces/w",
    ),
    "dotenv": ({".env": f'PREFECT_API_URL="{URL}"\n'}, {}, URL),
    "prefect.toml": ({"prefect.toml": f'[api]\nurl = "{URL}"\n'}, {}, URL),
    "pyproject": ({"pyproject.toml": f'[tool.prefect.api]\nurl = "{URL}"\n'}, {}, URL),
    "profile": ({"home/profiles.toml": PROFILES}, {}, URL),
    "named profile": ({"home/profiles.toml": PROFILES}, {"PREFECT_PROFILE": "other"}, OTHER),
    "silent profile": ({"home/profiles.toml": PROFILES}, {"PREFECT_PROFILE": "none"}, None),
    "environment before profile": (
        {"home/profiles.toml": PROFILES},
        {"PREFECT_API_URL": OTHER},
        OTHER,
    ),
    "profiles elsewhere": ({"p.toml": PROFILES}, {"PREFECT_PROFILES_PATH": "p.toml"}, URL),
}


@pytest.mark.parametrize("case", CASES)
def test_the_configured_api_is_the_one_that_prefect_finds(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import Settings

    files, environment, expected = CASES[case]
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    for name, value in {"PREFECT_HOME": str(tmp_path / "home"), **environment}.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    found = read_from_files()
    assert found == expected == settings.api.url
    assert (configured(found).ui_url if found else None) == settings.ui_url


def test_once_prefect_is_imported_its_active_settings_decide() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: URL}):
        found = configured_api()
    assert found is not None
    assert found.url == URL
