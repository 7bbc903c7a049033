"""Runs of several kinds, as values."""

from datetime import UTC, datetime

import pytest

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.report import (
    CheckReport,
    DatasetReport,
    RuleCount,
    RunReport,
    TransformationReport,
)

STARTED = datetime(2026, 2, 1, 6, 30, tzinfo=UTC)
LINKS = {
    "report": "/data/nyc/.prefect_etl/reports/20260201T063000-7f3a.html",
    "prefect": "http://127.0.0.1:4200/runs/flow-run/0d5c",
}
DESTINATION = "duckdb:////data/nyc/warehouse.duckdb"
FOLDER = "/data/nyc/.prefect_etl/quarantine"


def run(status="completed", **fields):
    known = {
        "run_id": "20260201T063000-7f3a",
        "pipeline": "nyc_flights",
        "destination": DESTINATION,
        "status": status,
        "started": STARTED,
        "seconds": 1.42,
        "links": LINKS,
    }
    return RunReport(**known | fields)


def dataset(name, status="loaded", **fields):
    return DatasetReport(name, f"main.{name}", status, **fields)


AIRPORTS = dataset(
    "airports",
    write="replace",
    version=1,
    units=1,
    counts=Accounting(read=1458, inserted=1455, quarantined=3),
    bytes=37_830,
    seconds=0.21,
    extract_seconds=0.1,
    load_seconds=0.08,
    rules=(
        RuleCount("tzone.pattern", "tzone does not match (America|Pacific)/.*", 2, "quarantine"),
        RuleCount("lat.le", "lat is more than 72", 1, "quarantine"),
    ),
    quarantine=f"{FOLDER}/airports/20260201T063000-7f3a.parquet",
)
FLIGHTS = dataset(
    "flights",
    write="merge",
    version=2,
    units=5,
    reused=1,
    counts=Accounting(read=27_004, inserted=26_000, updated=900, unchanged=100, superseded=4),
    bytes=660_854,
    seconds=0.63,
    extract_seconds=0.4,
    load_seconds=0.2,
    schema_changes=("column gate VARCHAR added", "column flight widened from INTEGER to BIGINT"),
)
WEATHER = dataset(
    "weather",
    version=1,
    units=1,
    counts=Accounting(read=2226, inserted=2226),
    seconds=0.2,
    rules=(RuleCount("wind_gust.le", "wind_gust is more than 60", 1, "warn"),),
)
DELAYS = TransformationReport(
    "carrier_delays",
    "main.carrier_delays",
    "table",
    "built",
    rows=16,
    version=1,
    seconds=0.05,
    reads=("departures",),
    checks=(CheckReport("unique: airline", True), CheckReport("not_null: airline", True)),
)


@pytest.fixture
def busy():
    """A run that loaded, quarantined, warned, changed a schema and built a table."""
    return run(
        datasets=(FLIGHTS, WEATHER, AIRPORTS, dataset("planes", "unchanged")),
        transformations=(DELAYS,),
    )


@pytest.fixture
def failed():
    """A run in which one dataset and one check failed and something was skipped for it."""
    return run(
        "failed",
        datasets=(
            AIRPORTS,
            dataset(
                "flights",
                "failed",
                reason="flights/2013-01-08.csv.gz: line 17 has 18 columns, expected 19",
                hint="Correct the file, or leave it out of path.",
                seconds=0.3,
            ),
        ),
        transformations=(
            TransformationReport(
                "departures", "main.departures", "table", "skipped", reason="flights failed"
            ),
            TransformationReport(
                "daily",
                "main.daily",
                "table",
                "failed",
                reason="daily: 1 check failed",
                hint="The table was left as it was.",
                checks=(
                    CheckReport("unique: day", False, "3 rows, such as 2013-01-01"),
                    CheckReport("row_count: 1 or more", True),
                ),
            ),
        ),
    )


@pytest.fixture
def idle():
    """A run that had nothing to do."""
    return run(
        datasets=(dataset("flights", "unchanged"), dataset("planes", "unchanged")),
        transformations=(
            TransformationReport("carrier_delays", "main.carrier_delays", "table", "unchanged"),
        ),
        seconds=0.18,
    )


@pytest.fixture
def hostile():
    """A run whose every text is an attack on what shows it."""
    attack = '<script>alert("x")</script> | `code` [red]$x\x1b[31m\u202e & {{7*7}}'
    return run(
        "failed",
        pipeline=attack,
        destination=attack,
        error=attack,
        links={attack: "javascript:alert(1)", "other": f"https://host/{attack}"},
        datasets=(
            DatasetReport(
                attack,
                attack,
                "failed",
                reason=f"{attack}!",
                hint=attack,
                write=attack,
                schema_changes=(attack,),
                rules=(RuleCount(attack, attack, 1, attack),),
                quarantine=attack,
            ),
            DatasetReport(attack, attack, "loaded", counts=Accounting(read=1, inserted=1)),
        ),
        transformations=(
            TransformationReport(
                attack,
                attack,
                attack,
                "failed",
                reason=f"{attack}?",
                hint=attack,
                reads=(attack,),
                checks=(CheckReport(attack, False, attack),),
            ),
        ),
    )
