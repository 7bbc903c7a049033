import logging
import os

import pytest

from prefect_etl.config import logging_config, secrets


@pytest.fixture(autouse=True)
def bare_surroundings(monkeypatch, tmp_path):
    """No settings from outside, no secrets known, the log as it was."""
    for name in list(os.environ):
        if name.startswith("PREFECT_ETL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    secrets.forget_secrets()
    root = logging.getLogger()
    handlers, factory = [*root.handlers], logging.getLogRecordFactory()
    levels = {name: logging.getLogger(name).level for name in ("prefect_etl", "prefect")}
    yield
    secrets.forget_secrets()
    root.handlers[:] = handlers
    logging.setLogRecordFactory(factory)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging_config._process_run_id = ""
