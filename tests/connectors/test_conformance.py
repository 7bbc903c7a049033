"""Every connector of the registry keeps the promises of its kind.

A new connector is found here by itself; one that has no exercise fails when this is collected.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefect_etl.connectors.registry import connectors
from prefect_etl.testing import destination_conformance, source_conformance
from prefect_etl.testing.exercise import Exercise
from prefect_etl.testing.exercises import exercises_for


def _rows_are_told(exercise: Exercise) -> bool:
    return type(exercise).rows is not Exercise.rows


def _with_server(made: type, exercise: Exercise) -> type:
    """The same tests, with the server that they need."""

    @pytest.fixture(autouse=True)
    def server(self: object, request: pytest.FixtureRequest) -> Iterator[None]:
        exercise.begin(request.getfixturevalue(exercise.fixture) if exercise.fixture else None)
        yield
        exercise.end()

    made.server = server
    return made


for _connector in connectors():
    _exercises = exercises_for(_connector)
    if _connector.source is not None:
        for _exercise in _exercises:
            _made = _with_server(source_conformance(_exercise), _exercise)
            globals()[_made.__name__] = _made
    if _connector.destination is not None:
        _exercise = next(filter(_rows_are_told, _exercises))
        _made = _with_server(destination_conformance(_exercise), _exercise)
        globals()[_made.__name__] = _made
