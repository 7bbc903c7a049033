from pathlib import Path

import pytest
from pydantic import ValidationError

from prefect_etl.config.secrets import redact
from prefect_etl.config.settings import Settings, load_settings, load_settings_with_origins
from prefect_etl.config.sources import unknown_variables
from prefect_etl.errors import ConfigError


def test_defaults_need_nothing_from_outside(tmp_path):
    settings = load_settings(tmp_path)
    assert settings == Settings()
    assert settings.environment == "dev"
    assert settings.memory_limit == "1GiB"
    assert settings.raw_retention == 30
    assert settings.max_concurrency >= 1
    assert settings.home == Path("~/.prefect_etl").expanduser()
    assert settings.data_folder(tmp_path) == tmp_path / ".prefect_etl"


def test_the_constructor_reads_nothing_but_its_arguments(monkeypatch):
    monkeypatch.setenv("PREFECT_ETL_THREADS", "3")
    Path(".env").write_text("PREFECT_ETL_THREADS=4\n")
    assert Settings().threads is None


def test_each_place_wins_over_the_next(monkeypatch, tmp_path):
    names = ["threads", "max_concurrency", "lock_timeout", "server_idle_minutes", "log_level"]
    (tmp_path / "pyproject.toml").write_text(
        "[tool.prefect_etl]\nthreads = 1\nmax_concurrency = 1\nlock_timeout = 1\n"
        "server_idle_minutes = 1\nlog_level = 'error'\n"
    )
    (tmp_path / "prefect_etl.toml").write_text(
        "threads = 2\nmax_concurrency = 2\nlock_timeout = 2\nserver_idle_minutes = 2\n"
    )
    (tmp_path / ".env").write_text(
        "PREFECT_ETL_THREADS=3\nPREFECT_ETL_MAX_CONCURRENCY=3\nPREFECT_ETL_LOCK_TIMEOUT=3\n"
    )
    monkeypatch.setenv("PREFECT_ETL_THREADS", "4")
    monkeypatch.setenv("PREFECT_ETL_MAX_CONCURRENCY", "4")
    settings = load_settings(tmp_path, threads=5)
    assert [getattr(settings, name) for name in names] == [5, 4, 3, 2, "ERROR"]


def test_the_origin_of_each_given_value_is_told(monkeypatch, tmp_path):
    (tmp_path / "prefect_etl.toml").write_text("threads = 2\nlock_timeout = 5\n")
    monkeypatch.setenv("PREFECT_ETL_THREADS", "4")
    loaded = load_settings_with_origins(tmp_path)
    assert loaded.origins == {
        "threads": "environment",
        "lock_timeout": str(tmp_path / "prefect_etl.toml"),
    }


def test_the_environments_table_overlays_its_file(monkeypatch, tmp_path):
    (tmp_path / "prefect_etl.toml").write_text(
        "memory_limit = '1GiB'\nlog_level = 'INFO'\n"
        "[connections]\nops = 'duckdb:///dev.duckdb'\nraw = 'file://./data'\n"
        "[environments.production]\nmemory_limit = '8GiB'\n"
        "[environments.production.connections]\nops = 'duckdb:///ops.duckdb'\n"
    )
    assert load_settings(tmp_path).memory_limit == "1GiB"
    monkeypatch.setenv("PREFECT_ETL_ENVIRONMENT", "production")
    settings = load_settings(tmp_path)
    assert (settings.environment, settings.memory_limit) == ("production", "8GiB")
    assert settings.log_level == "INFO"
    assert settings.connection_uris() == {"ops": "duckdb:///ops.duckdb", "raw": "file://./data"}


def test_a_file_may_select_its_environment(tmp_path):
    (tmp_path / "prefect_etl.toml").write_text(
        "environment = 'staging'\n[environments.staging]\nthreads = 7\n"
    )
    assert load_settings(tmp_path).threads == 7


def test_files_are_found_in_the_folders_parents_and_then_in_the_current_folder(
    tmp_path, monkeypatch
):
    (tmp_path / "repo" / "pipelines" / "a").mkdir(parents=True)
    (tmp_path / "repo" / "prefect_etl.toml").write_text("threads = 2\n")
    assert load_settings(tmp_path / "repo" / "pipelines" / "a").threads == 2
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "repo")
    assert load_settings(tmp_path / "elsewhere").threads == 2


def test_connections_come_from_variables_and_stay_secret(monkeypatch):
    monkeypatch.setenv("PREFECT_ETL_CONNECTIONS__OPS", "postgresql://etl:hunter2!@db/ops")
    settings = load_settings()
    assert settings.connection_uris() == {"ops": "postgresql://etl:hunter2!@db/ops"}
    assert "hunter2!" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert redact("login with hunter2! failed") == "login with *** failed"


def test_what_else_is_in_a_dotenv_file_is_ignored(tmp_path):
    (tmp_path / ".env").write_text("DATABASE_URL=x\nPREFECT_ETL_THREADS=3\nTHREADS=9\n")
    assert load_settings(tmp_path).threads == 3


def test_an_empty_variable_is_not_given(monkeypatch):
    monkeypatch.setenv("PREFECT_ETL_THREADS", "")
    assert load_settings().threads is None


def test_all_mistakes_are_told_at_once_with_place_and_nearest_name(monkeypatch, tmp_path):
    (tmp_path / "prefect_etl.toml").write_text(
        "memory_limt = '1GiB'\nlog_format = 'xml'\n[environments.prod]\nthreads = 1\n"
        "[environments.staging]\nthraeds = 1\n"
    )
    (tmp_path / "pyproject.toml").write_text("[tool.prefect_etl]\nlock_timeout = -1\n")
    monkeypatch.setenv("PREFECT_ETL_THREADS", "many")
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path)
    toml = tmp_path / "prefect_etl.toml"
    assert caught.value.message.splitlines() == [
        "the settings are wrong:",
        f"  {toml}: memory_limt: unknown setting; did you mean memory_limit?",
        f"  {toml}: environments.prod: should be one of dev, staging, production",
        f"  {toml}: environments.staging.thraeds: unknown setting; did you mean threads?",
        "  PREFECT_ETL_THREADS (environment): should be a whole number, not 'many'",
        f"  {tmp_path}/pyproject.toml: lock_timeout: should be greater than or equal to 0, not -1",
        f"  {toml}: log_format: should be 'console' or 'json', not 'xml'",
    ]


def test_a_wrong_connection_is_not_shown(monkeypatch):
    monkeypatch.setenv("PREFECT_ETL_CONNECTIONS", '{"Ops": "postgresql://u:pw1234@h/d"}')
    with pytest.raises(ConfigError, match=r"lower-case letters.*unlike Ops") as caught:
        load_settings()
    assert "pw1234" not in str(caught.value)


def test_connections_that_are_no_json_are_refused(monkeypatch):
    monkeypatch.setenv("PREFECT_ETL_CONNECTIONS", "postgresql://u:pw1234@h/d")
    with pytest.raises(ConfigError, match="PREFECT_ETL_CONNECTIONS: is not a JSON") as caught:
        load_settings()
    assert "pw1234" not in str(caught.value)


def test_broken_toml_is_refused_with_its_line(tmp_path):
    (tmp_path / "prefect_etl.toml").write_text("threads = 1\nthreads = = 2\n")
    with pytest.raises(ConfigError, match=r"prefect_etl.toml: is not valid TOML.*line 2"):
        load_settings(tmp_path)


def test_a_broken_pyproject_that_says_nothing_of_us_is_not_read(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool\n")
    assert load_settings(tmp_path) == Settings()


@pytest.mark.parametrize("good", ["1GiB", "512MB", "1.5 GiB", "300kb", "2TiB"])
def test_memory_is_spelled_as_duckdb_reads_it(good):
    assert Settings(memory_limit=good).memory_limit == good


@pytest.mark.parametrize("bad", ["1", "0GiB", "80%", "-1GiB", "1 gig", ""])
def test_memory_that_duckdb_would_not_read_is_refused(bad):
    with pytest.raises(ValidationError, match="memory_limit"):
        Settings(memory_limit=bad)


@pytest.mark.parametrize(("text", "days"), [("forever", None), ("0", 0), ("7.5", 7.5)])
def test_raw_retention_is_days_or_forever(monkeypatch, text, days):
    monkeypatch.setenv("PREFECT_ETL_RAW_RETENTION", text)
    assert load_settings().raw_retention == days


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().threads = 3


def test_a_misspelt_variable_is_found():
    names = ["PREFECT_ETL_MEMORY_LIMT", "PREFECT_ETL_CONNECTIONS__OPS", "PATH"]
    assert list(unknown_variables(names, list(Settings.model_fields))) == [
        ("PREFECT_ETL_MEMORY_LIMT", "unknown setting; did you mean PREFECT_ETL_MEMORY_LIMIT?")
    ]
