"""The project templates, read by hand: what the pipeline files say, DuckDB does here."""

import csv
import gzip
import importlib.util
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest
import yaml

from prefect_etl.core.contract import Contract, compile_rules
from prefect_etl.core.dataset import Columns
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.transformation import TransformationSpec

TEMPLATES = Path(str(files("prefect_etl").joinpath("templates")))
FLIGHTS = TEMPLATES / "flights"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def datasets():
    text = (FLIGHTS / "pipeline.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["sources"]["landing"]["datasets"]


@pytest.fixture(scope="module")
def transformations():
    return yaml.safe_load((FLIGHTS / "pipeline.yaml").read_text(encoding="utf-8"))[
        "transformations"
    ]


@pytest.fixture(scope="module")
def warehouse(datasets):
    """All tables of the flights template as its pipeline file describes them."""
    connection = duckdb.connect()
    for name, dataset in datasets.items():
        columns = Columns(**dataset.get("columns", {}))
        dropped = ", ".join(identifier(column) for column in columns.drop)
        renamed = ", ".join(
            f"{identifier(old)} AS {identifier(new)}" for old, new in columns.rename.items()
        )
        star = (
            "*"
            + (f" EXCLUDE ({dropped})" if dropped else "")
            + (f" RENAME ({renamed})" if renamed else "")
        )
        path = literal(str(FLIGHTS / "data" / dataset["path"]))
        connection.execute(
            f"CREATE TABLE {identifier(name)} AS SELECT {star} "
            f"FROM read_csv({path}, nullstr=['', 'NA'])"
        )
    return connection


def rejected(connection, table, contract):
    row_rules = [rule.violated for rule in compile_rules(contract) if not rule.over_load]
    bad = " OR ".join(row_rules)
    return connection.execute(f"SELECT * FROM {identifier(table)} WHERE {bad}").fetchall()


def test_the_flights_template_is_about_a_megabyte():
    size = sum(path.stat().st_size for path in FLIGHTS.rglob("*") if path.is_file())
    assert size < 1_100_000


def test_the_january_flights_are_whole(warehouse):
    count, keys = warehouse.execute(
        "SELECT count(*), count(DISTINCT (carrier, flight, origin, time_hour)) FROM flights"
    ).fetchone()
    assert (count, keys) == (27_004, 27_004)


def test_the_contract_on_airports_catches_the_misplaced_ones(warehouse, datasets):
    bad = rejected(warehouse, "airports", Contract(**datasets["airports"]["contract"]))
    assert sorted(row[0] for row in bad) == ["DVT", "EEN", "MYF"]


@pytest.mark.parametrize("table", ["flights", "weather", "airlines"])
def test_the_other_contracts_pass_all_rows(warehouse, datasets, table):
    assert rejected(warehouse, table, Contract(**datasets[table]["contract"])) == []


def test_the_incoming_weather_holds_the_wind_of_1048_miles_an_hour():
    with gzip.open(FLIGHTS / "incoming/weather/2013-02.csv.gz", "rt", encoding="utf-8") as lines:
        winds = [float(row["wind_speed"]) for row in csv.DictReader(lines)]
    assert [round(wind) for wind in winds if wind > 200] == [1048]


def test_the_transformations_are_valid_and_run_in_their_order(warehouse, transformations):
    specs = [TransformationSpec(name=name, **rest) for name, rest in transformations.items()]
    for spec in specs:
        if spec.sql is not None:
            sql = (FLIGHTS / spec.sql).read_text(encoding="utf-8")
            warehouse.execute(f"CREATE OR REPLACE TABLE {spec.table} AS {sql}", spec.parameters)
    departures, delays = warehouse.execute(
        "SELECT (SELECT count(*) FROM departures), (SELECT count(*) FROM carrier_delays)"
    ).fetchone()
    assert (departures, delays) == (27_004, 16)


def test_the_python_transformation_gives_one_row_an_airport_and_day(warehouse, transformations):
    departures_sql = (FLIGHTS / transformations["departures"]["sql"]).read_text(encoding="utf-8")
    spec = importlib.util.spec_from_file_location("flights_models", FLIGHTS / "models.py")
    models = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(models)
    frame = warehouse.execute(departures_sql).to_arrow_table().to_pandas()
    days = models.daily_delays(frame)
    assert len(days) == len(days.drop_duplicates(["origin", "day"])) == 3 * 31
    assert int(days["flights"].sum()) == 27_004


def test_the_blank_template_has_one_bad_row_to_show():
    pipeline = yaml.safe_load((TEMPLATES / "blank/pipeline.yaml").read_text(encoding="utf-8"))
    dataset = pipeline["sources"]["files"]["datasets"]["orders"]
    connection = duckdb.connect()
    path = literal(str(TEMPLATES / "blank/data" / dataset["path"]))
    connection.execute(f"CREATE TABLE orders AS FROM read_csv({path})")
    contract = Contract(**dataset["contract"])
    bad = rejected(connection, "orders", contract)
    assert len(bad) == 1
    assert len(bad) / 6 <= contract.max_rejected


def test_the_flights_data_can_be_made_again_from_its_source():
    script = REPOSITORY / "scripts" / "build_flights_template.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
