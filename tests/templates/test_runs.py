"""The templates, run: what their READMEs tell a reader happens."""

import shutil
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest

from prefect_etl.core.accounting import Accounting
from prefect_etl.pipeline.quarantine import Quarantine
from prefect_etl.pipeline.run import plan_run, run_pipeline
from prefect_etl.pipeline.spec import load_pipeline
from prefect_etl.pipeline.workspace import open_workspace

TEMPLATES = Path(str(files("prefect_etl").joinpath("templates")))


def run(project):
    with open_workspace(load_pipeline(project / "pipeline.yaml")) as workspace:
        report = run_pipeline(workspace)
    assert report.status == "completed", report.failures
    return report


def plan(project):
    with open_workspace(load_pipeline(project / "pipeline.yaml")) as workspace:
        return plan_run(workspace)


def query(project, sql):
    with duckdb.connect(str(project / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    """A flights project that has run once, and that run's report."""
    project = tmp_path_factory.mktemp("projects") / "flights"
    shutil.copytree(TEMPLATES / "flights", project)
    return project, run(project)


def test_the_first_run_loads_everything_but_three_airports(flights):
    _, report = flights
    counts = {dataset.dataset: dataset.counts for dataset in report.datasets}
    assert counts["flights"] == Accounting(read=27_004, inserted=27_004)
    assert counts["weather"] == Accounting(read=2_226, inserted=2_226)
    assert counts["airlines"] == Accounting(read=16, inserted=16)
    assert counts["airports"] == Accounting(read=1_458, inserted=1_455, quarantined=3)
    assert counts["planes"] == Accounting(read=3_322, inserted=3_322)


def test_all_transformations_are_built_and_checked(flights):
    _, report = flights
    built = {part.name: part.rows for part in report.transformations}
    assert built == {"departures": 27_004, "carrier_delays": 16, "daily_delays": 93}
    assert all(part.checks for part in report.transformations)


def test_the_punctual_airlines_come_out_as_they_were(flights):
    project, _ = flights
    rows = query(project, "SELECT airline, flights, cancelled, late_share FROM carrier_delays")
    assert ("United Air Lines Inc.", 4_637, 32, 0.16) in rows


def test_what_comes_next_is_read_alone_and_its_wind_put_aside(flights, tmp_path):
    project = tmp_path / "flights"
    shutil.copytree(flights[0], project)
    assert plan(project).empty
    assert run(project).idle

    shutil.copytree(project / "incoming", project / "data", dirs_exist_ok=True)
    report = run(project)
    by_name = {dataset.dataset: dataset for dataset in report.datasets}
    assert by_name["flights"].counts == Accounting(read=6_083, inserted=6_083)
    assert by_name["weather"].counts == Accounting(read=2_010, inserted=2_009, quarantined=1)
    assert by_name["airports"].status == "unchanged"
    assert query(project, "SELECT count(*) FROM departures") == [(33_087,)]

    folder = project / ".prefect_etl" / "nyc_flights" / "quarantine"
    (entry,) = Quarantine(folder).entries("weather")
    assert duckdb.sql(f"SELECT round(wind_speed) FROM '{entry.path}'").fetchall() == [(1048,)]


def test_the_blank_template_runs_and_shows_a_bad_row(tmp_path):
    project = tmp_path / "blank"
    shutil.copytree(TEMPLATES / "blank", project)
    report = run(project)
    assert report.counts == Accounting(read=6, inserted=5, quarantined=1)
    assert query(project, "SELECT orders FROM customers WHERE customer = 'Grace'") == [(2,)]
    assert run(project).idle
