from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.core.warehouse import (
    DatasetTable,
    Read,
    Snapshot,
    TableRef,
    TableVersion,
    TransformationState,
)
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.transform import Dependency, Prepared, plan_transformations
from prefect_etl.pipeline.transform.order import in_order

_N = 7
_EDGES = st.lists(st.tuples(st.integers(0, _N - 1), st.integers(0, _N - 1)), max_size=12)


def _part(number: int, reads: list[str]) -> Prepared:
    name = f"t{number}"
    return Prepared(
        spec=TransformationSpec(name=name, sql="SELECT 1"),
        pipeline="test",
        table=TableRef("main", name),
        label=name,
        root=Path(),
        sql="SELECT 1",
        fingerprint={"kind": "table", "sql": "1"},
        reads=tuple(Dependency(TableRef("main", read), read) for read in reads),
    )


def _parts(edges: list[tuple[int, int]], order: list[int]) -> list[Prepared]:
    return [_part(n, ["source", *(f"t{b}" for a, b in edges if a == n)]) for n in order]


@given(_EDGES, st.permutations(range(_N)))
def test_each_comes_after_what_it_reads_in_any_order_of_the_file(edges, order):
    downwards = [(max(a, b), min(a, b)) for a, b in edges if a != b]
    sorted_names = [part.name for part in in_order(_parts(downwards, order))]
    assert sorted(sorted_names) == sorted(f"t{n}" for n in range(_N))
    for a, b in downwards:
        assert sorted_names.index(f"t{b}") < sorted_names.index(f"t{a}")


@given(_EDGES, st.permutations(range(_N)))
def test_a_circle_is_always_found(edges, order):
    edges = [*edges, (0, 1), (1, 2), (2, 0)]
    with pytest.raises(ConfigError):
        in_order(_parts(edges, order))


@given(_EDGES, st.sets(st.integers(0, _N - 1)))
def test_what_runs_is_what_changed_and_all_that_reads_it(edges, edited):
    downwards = sorted({(max(a, b), min(a, b)) for a, b in edges if a != b})
    parts = in_order(_parts(downwards, list(range(_N))))
    version = TableVersion(1, "h")
    states = {
        part.table: TransformationState(
            "test",
            part.name,
            part.table,
            "table",
            {"kind": "table", "sql": "0" if int(part.name[1:]) in edited else "1"},
            tuple(Read(read.table, version) for read in part.reads),
            version,
            columns=None,
            rows=1,
        )
        for part in parts
    }
    source = {TableRef("main", "source"): DatasetTable("test", "source", version)}
    snapshot = Snapshot(dict.fromkeys([*states, *source], "table"), source, states)
    expected = {f"t{n}" for n in edited}
    for part in parts:
        if any(read.label in expected for read in part.reads):
            expected.add(part.name)
    plans = plan_transformations(parts, snapshot)
    assert {plan.name for plan in plans if plan.action == "run"} == expected


_LOAD = st.dictionaries(st.integers(0, 5), st.none() | st.integers(-3, 3), max_size=4)


@given(st.lists(_LOAD, min_size=1, max_size=4))
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_an_incremental_table_is_the_loads_laid_over_each_other(project, loads):
    project.path.unlink(missing_ok=True)
    expected: dict[int, int | None] = {}
    for load in loads:
        rows = [f"SELECT {k} AS k, {'NULL' if v is None else v}::INT AS v" for k, v in load.items()]
        empty = "SELECT 0 AS k, 0 AS v WHERE false"
        project.load("t", " UNION ALL ".join([empty, *rows]))
        project.run(x={"sql": "FROM t", "kind": "incremental", "key": "k"})
        expected |= load
    assert dict(project.rows("FROM x")) == expected
