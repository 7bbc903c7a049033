import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from prefect_etl.config import secrets

# The test session's own folder and server.
KEPT = {"PREFECT_ETL_HOME", "PREFECT_ETL_SERVER_URL"}


@pytest.fixture(autouse=True)
def in_an_empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in list(os.environ):
        if name.startswith("PREFECT_ETL_") and name not in KEPT:
            monkeypatch.delenv(name)
    secrets.forget_secrets()
    yield
    secrets.forget_secrets()


@pytest.fixture
def script():
    """Run the installed program, as a user does."""
    program = Path(sysconfig.get_path("scripts")) / "prefect-etl"

    def run(*words, **options):
        return subprocess.run(
            [program, *words], capture_output=True, text=True, check=False, timeout=120, **options
        )

    def start(*words):
        return subprocess.Popen(
            [program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    run.start = start
    return run
