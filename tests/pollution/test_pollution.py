"""Polluted files, read without a word on how they are written but what nobody can find out."""

from __future__ import annotations

import time
from collections import defaultdict
from statistics import mean

import pytest
from pollutions import Case, cases
from readers import duckdb_alone, ours
from scoring import Answer, bad_rows_loaded, lost, score

from prefect_etl.engine.duckdb import Session

_LONGEST = 10.0  # seconds for one file


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Case, Answer, Answer, float]]:
    """Each file with our answer, DuckDB's, and the seconds that ours took."""
    folder = tmp_path_factory.mktemp("polluted")
    session = Session(spill=folder / "spill", threads=1)
    path, found = folder / "a.csv", []
    for case in cases(every=3):
        path.write_bytes(case.data)
        started = time.monotonic()
        mine = ours(path, case, session)
        took = time.monotonic() - started
        found.append((case, mine, duckdb_alone(path, case, session), took))
    session.close()
    return found


Answers = list[tuple[Case, Answer, Answer, float]]


def test_no_record_is_lost_without_a_word(answers: Answers) -> None:
    assert [(case.title, lost(case, mine)) for case, mine, *_ in answers if lost(case, mine)] == []


def test_no_bad_record_becomes_a_row(answers: Answers) -> None:
    assert [case.title for case, mine, *_ in answers if bad_rows_loaded(case, mine)] == []


def test_none_takes_long(answers: Answers) -> None:
    assert [case.title for case, *_, took in answers if took > _LONGEST] == []


def test_no_kind_is_read_worse_than_by_duckdb_alone(answers: Answers) -> None:
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for case, mine, alone, _ in answers:
        for kind in case.kinds:
            scores[kind].append((score(case, mine), score(case, alone)))
    worse = {
        kind: (round(mean(ours), 3), round(mean(theirs), 3))
        for kind, found in scores.items()
        for ours, theirs in [tuple(zip(*found, strict=True))]
        if mean(ours) < mean(theirs)
    }
    assert worse == {}


def test_nearly_every_cell_is_right(answers: Answers) -> None:
    assert mean(score(case, mine) for case, mine, *_ in answers) > 0.98
