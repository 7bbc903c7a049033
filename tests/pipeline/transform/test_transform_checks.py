from __future__ import annotations

import pytest

from prefect_etl.errors import ConfigError, ContractError, DataError
from prefect_etl.pipeline.transform import ChecksFailedError, build, failed_report

_ROWS = (
    "SELECT * FROM (VALUES (1, 'a', 5), (1, 'b', NULL), (2, NULL, -1), (NULL, 'd', 0)) t(k, s, n)"
)


def run(project, checks, kind="table"):
    project.load("t", _ROWS)
    project.run(x={"sql": "FROM t", "kind": kind, "checks": checks})
    return {check.check: check.passed for check in project.reports["x"].checks}


@pytest.mark.parametrize("kind", ["table", "view"])
def test_what_passes_is_published_and_reported(project, kind):
    checks = {
        "not_null": [],
        "unique": ["k", "s"],
        "row_count": {"min": 4, "max": 4},
        "expression": ["coalesce(n, 0) > -5 -- all of them", "true"],
    }
    assert run(project, checks, kind) == {
        "unique: k, s": True,
        "row_count: at least 4 and at most 4": True,
        "expression: coalesce(n, 0) > -5 -- all of them": True,
        "expression: true": True,
    }
    assert len(project.rows("FROM x")) == 4


@pytest.mark.parametrize("kind", ["table", "view"])
@pytest.mark.parametrize(
    ("checks", "detail"),
    [
        ({"not_null": "s"}, "1 of 4 rows; for example k=2, s=NULL, n=-1"),
        ({"unique": "k"}, "2 of 4 rows; for example k=1, rows=2"),
        ({"row_count": {"min": 5}}, "4 rows"),
        ({"row_count": {"max": 3}}, "4 rows"),
        ({"expression": "n >= 0 OR n IS NULL"}, "1 of 4 rows; for example k=2, s=NULL, n=-1"),
        ({"expression": "n > -9"}, "1 of 4 rows; for example k=1, s=b, n=NULL"),
    ],
)
def test_what_fails_is_counted_and_shown_and_nothing_is_published(project, kind, checks, detail):
    project.load("t", "SELECT 1 AS old")
    project.run(x={"sql": "FROM t"})
    with pytest.raises(ContractError, match="x: 1 of 1 checks failed") as caught:
        run(project, checks, kind)
    assert isinstance(caught.value, ChecksFailedError)
    assert [check.detail for check in caught.value.checks] == [detail]
    assert project.rows("FROM x") == [(1,)]


def test_at_most_three_rows_are_shown_and_long_values_are_cut(project):
    project.load("t", "SELECT n, repeat('x', 100) AS s FROM range(10) r(n)")
    with pytest.raises(ChecksFailedError) as caught:
        project.run(x={"sql": "FROM t", "checks": {"expression": "n < 0"}})
    (check,) = caught.value.checks
    assert check.detail.count("n=") == 3
    assert len(check.detail) < 250


def test_the_report_of_a_failure_has_all_checks(project):
    project.load("t", _ROWS)
    checks = {"not_null": ["k", "s"], "row_count": {"min": 1}}
    (prepared,) = project.prepare(x={"sql": "FROM t", "checks": checks})
    with pytest.raises(ChecksFailedError) as caught:
        build(prepared, project.tables, "run")
    report = failed_report(prepared, caught.value, seconds=1.5)
    assert (report.status, report.seconds) == ("failed", 1.5)
    assert [check.passed for check in report.checks] == [False, False, True]
    assert report.reason.startswith("x: 2 of 3 checks failed: not_null: k: 1 of 4 rows")
    assert "as it was" in report.hint


@pytest.mark.parametrize("check", ["not_null", "unique"])
def test_a_column_that_is_not_there_is_said_with_the_nearest(project, check):
    project.load("t", "SELECT 1 AS carrier")
    with pytest.raises(ConfigError, match=r"no column carier; did you mean carrier\?"):
        project.run(x={"sql": "FROM t", "checks": {check: "carier"}})


@pytest.mark.parametrize("expression", ["m > 0", "sum(n) > 0", "n", "n > 0 AND"])
def test_an_expression_that_is_no_condition_of_the_row_is_refused(project, expression):
    project.load("t", "SELECT 'x' AS n")
    with pytest.raises((ConfigError, DataError)):
        project.run(x={"sql": "FROM t", "checks": {"expression": expression}})


def test_columns_with_strange_names_are_checked(project):
    name = """it's "odd\""""
    project.load("t", 'SELECT 1 AS "it\'s ""odd"""')
    project.run(x={"sql": "FROM t", "checks": {"not_null": name, "unique": name}})
    assert all(check.passed for check in project.reports["x"].checks)


def test_a_failed_check_runs_again_next_time(project):
    project.load("t", "SELECT 1 AS n")
    spec = {"sql": "FROM t", "checks": {"row_count": {"min": 2}}}
    with pytest.raises(ChecksFailedError):
        project.run(x=spec)
    assert project.plan(x=spec)["x"].action == "run"
