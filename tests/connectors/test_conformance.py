"""Every connector of the registry keeps the promises of its kind.

A new connector is found here by itself; one that has no exercise fails when this is collected.
"""

from __future__ import annotations

import pytest

from prefect_etl.connectors.registry import connectors
from prefect_etl.testing import destination_conformance, source_conformance
from prefect_etl.testing.exercise import Exercise
from prefect_etl.testing.exercises import Postgres, exercises_for


@pytest.fixture(autouse=True, scope="module")
def _servers(postgres):
    Postgres.server = postgres.uri()


def _rows_are_told(exercise: Exercise) -> bool:
    return type(exercise).rows is not Exercise.rows


for _connector in connectors():
    _exercises = exercises_for(_connector)
    if _connector.source is not None:
        for _exercise in _exercises:
            _made = source_conformance(_exercise)
            globals()[_made.__name__] = _made
    if _connector.destination is not None:
        _made_too = destination_conformance(next(filter(_rows_are_told, _exercises)))
        globals()[_made_too.__name__] = _made_too
