import logging
from pathlib import Path

import pytest

from prefect_etl.cli.options import pipeline_path, prepare


@pytest.fixture(autouse=True)
def log_as_it_was():
    root = logging.getLogger()
    handlers, factory = [*root.handlers], logging.getLogRecordFactory()
    yield
    root.handlers[:] = handlers
    logging.setLogRecordFactory(factory)


def test_a_folder_means_its_pipeline_file(tmp_path):
    assert pipeline_path(tmp_path) == tmp_path / "pipeline.yaml"
    assert pipeline_path(Path("other.yaml")) == Path("other.yaml")


def test_the_settings_are_those_of_the_pipelines_folder(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "prefect_etl.toml").write_text("threads = 3\n")
    assert prepare(tmp_path / "project" / "pipeline.yaml").threads == 3


def test_verbose_prints_what_is_logged_as_information(capsys):
    prepare(Path("pipeline.yaml"), verbose=True)
    logging.getLogger("prefect_etl.x").info("hello")
    assert "hello" in capsys.readouterr().err
