"""Contracts beyond columns: conditions on rows, dates, a severity for each rule."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.core.contract import Contract
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.check_frame import check_frame

ROWS = "id,v,w,day\n1,5,9,2020-01-01\n2,7,3,2020-06-01\n3,,1,2031-01-01\n"


def test_a_condition_on_the_columns_of_a_row_is_a_rule(project):
    project.dataset["contract"] = {"rows": {"in_order": "v <= w"}}
    project.write("a.csv", ROWS)
    report = project.load()
    assert (report.counts.inserted, report.counts.quarantined) == (2, 1)  # null passes
    assert [(rule.rule, rule.reason) for rule in report.rules] == [("rows.in_order", "not v <= w")]


def test_a_condition_has_a_reason_and_a_severity_of_its_own(project):
    project.dataset["contract"] = {
        "rows": {
            "in_order": {"check": "v <= w", "reason": "v came after w", "severity": "warn"},
            "small": {"check": "w < 9"},
        }
    }
    project.write("a.csv", ROWS)
    report = project.load()
    assert (report.counts.inserted, report.counts.quarantined) == (2, 1)
    assert {(rule.reason, rule.on_violation) for rule in report.rules} == {
        ("v came after w", "warn"),
        ("not w < 9", "quarantine"),
    }


def test_a_rule_that_fails_refuses_the_load_where_others_only_put_aside(project):
    project.dataset["contract"] = {
        "columns": {"v": {"nullable": False}, "w": {"le": 5, "severity": "fail"}}
    }
    project.write("a.csv", ROWS)
    assert "w is more than 5" in project.fail().reason
    assert not project.warehouse.exists()


@pytest.mark.parametrize(
    "check",
    ["(SELECT count(*) FROM t) > 0", "v > 0); DROP TABLE x; --", "read_text('/etc/passwd') = ''"],
)
def test_a_condition_that_is_more_than_that_is_refused(project, check):
    project.dataset["contract"] = {"rows": {"evil": check}}
    project.write("a.csv", ROWS)
    assert "is not a condition" in project.fail().reason or "evil" in project.fail().reason


def test_a_condition_on_a_column_that_is_not_there_is_named(project):
    project.dataset["contract"] = {"rows": {"order": "nothing > 1"}}
    project.write("a.csv", ROWS)
    assert re.search(r"rows: order is no condition on its rows.*nothing", project.fail().reason)


@pytest.mark.parametrize(
    ("bounds", "good"),
    [
        ({"ge": date(2020, 2, 1)}, [2, 3]),
        ({"ge": "2020-02-01"}, [2, 3]),
        ({"le": "today"}, [1, 2]),
        ({"lt": "now - 1 day"}, [1, 2]),
        ({"isin": [date(2020, 1, 1)]}, [1]),
    ],
)
def test_bounds_may_be_dates_and_may_move(project, bounds, good):
    project.dataset["contract"] = {"columns": {"day": bounds}}
    project.write("a.csv", ROWS)
    project.load()
    assert project.rows("SELECT id FROM t ORDER BY 1") == [(n,) for n in good]


@pytest.mark.parametrize(
    ("column", "rules"),
    [
        ("v", {"ge": "a"}),
        ("day", {"ge": 5}),
        ("v", {"pattern": "x"}),
        ("v", {"le": date(2020, 1, 1)}),
    ],
)
def test_a_bound_of_another_type_is_refused_before_a_row_is_read(project, column, rules):
    project.dataset["contract"] = {"columns": {column: rules}}
    project.write("a.csv", ROWS)
    assert "contract: " in project.fail().reason


def test_rows_with_a_bound_is_a_mistake_that_is_told(project):
    project.dataset["contract"] = {"rows": {"ge": "1"}}
    with pytest.raises(ConfigError, match="cannot be called ge"):
        project.load()


@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=8), st.integers(-5, 5))
def test_what_breaks_a_rule_is_what_python_says(values, bound):
    frame = pd.DataFrame({"v": pd.array(values, dtype="Int64")})
    good, bad = check_frame(frame, Contract(columns={"v": {"ge": bound}}))
    assert [v for v in good["v"] if not pd.isna(v)] == [
        v for v in values if v is not None and v >= bound
    ]
    assert list(bad.rows["v"]) == [v for v in values if v is not None and v < bound]


def test_rules_on_the_whole_hold_for_frames_too():
    frame = pd.DataFrame({"id": [1, 1], "at": [datetime.now(UTC) - timedelta(days=9)] * 2})
    rules = {"table": {"unique": ["id"], "rows": {"ge": 5}, "fresh": {"at": "1 day"}}}
    good, failure = check_frame(frame, rules)
    assert len(good) == 2
    assert failure.refused
    assert [rule.rule for rule in failure.rules] == [
        "table.rows",
        "table.unique(id)",
        "table.fresh(at)",
    ]


def test_a_frame_cannot_be_compared_with_tables():
    with pytest.raises(ConfigError, match="no other tables"):
        check_frame(pd.DataFrame({"id": [1]}), {"table": {"references": {"id": "t.id"}}})


def test_conditions_hold_for_frames_and_may_name_any_column():
    frame = pd.DataFrame({"a": [1, 2], "b": [2, 1]})
    good, failure = check_frame(frame, {"rows": {"order": "a < b"}})
    assert good["a"].to_list() == [1]
    assert failure.counts == {"rows.order": 1}
