"""Every destination, with a table in it that no attack may touch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_etl.testing.exercise import Exercise
from prefect_etl.testing.exercises import DuckDB, Memory, ParquetFolder, Postgres, Sqlite

# What attacks and what is attacked stand beside the tests; the targets of the fuzzer in its folder.
sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from targets import Target

_CANARY = [{"id": number} for number in range(3)]
_EXERCISES = (Memory(), DuckDB(), Sqlite(), ParquetFolder(), Postgres())


@pytest.fixture(params=_EXERCISES, ids=lambda exercise: type(exercise).__name__.lower())
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """Each destination in turn; the canary is asked after every test."""
    exercise: Exercise = request.param
    exercise.begin(request.getfixturevalue(exercise.fixture) if exercise.fixture else None)
    found = Target(exercise, tmp_path)
    (report,) = found.load({"canary": {"table": "canary"}}, {"canary": _CANARY})
    assert report.status == "loaded", report.reason
    yield found
    assert found.is_unharmed()
    exercise.end()
