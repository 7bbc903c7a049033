"""What is read of a database: windows, parts, what is resumed. The system is a list of rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from pydantic import ValidationError

from prefect_etl.connectors.relational import (
    CursorKind,
    DatabaseDataset,
    Planner,
    Ranges,
    part,
    with_values,
    within,
)
from prefect_etl.core.cursor import Window
from prefect_etl.core.ledger import KnownUnit, LedgerState
from prefect_etl.core.manifest import ExtractedUnit, Manifest
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit
from prefect_etl.errors import ConfigError, SourceReadError

FIRST = LedgerState()


@dataclass
class Listed:
    """Answers from a list of cursors, with ``chunk_rows`` a range."""

    values: list[int | None]
    snapshot: str | None = None
    cursor: CursorKind = "integer"

    def highest(self):
        found = [value for value in self.values if value is not None]
        return str(max(found)) if found else None

    def is_higher(self, one, other):
        return int(one) > int(other)

    def earlier(self, bound, lag):
        return str(int(bound) - lag)

    def count(self, lower, upper):
        return sum(value is not None and int(lower) <= value <= int(upper) for value in self.values)

    def ranges(self, chunk_rows):
        bounds = tuple(str(n) for n in range(chunk_rows, len(self.values), chunk_rows))
        return Ranges("id", bounds, self.snapshot) if bounds else None


def planner(**fields):
    return Planner(DatabaseDataset(name="d", table="t", **fields), "digest")


def keyed(**fields):
    return planner(write="merge", key="id", **fields)


def batches(planner, probe, state=FIRST):
    units = planner.units(state, probe)
    known = {known.unit.identity for known in state.units.values()}
    return planner.batches([u for u in units if u.identity not in known], state, probe)


def loaded(planner, probe, state=FIRST):
    """The ledger after what is new was loaded."""
    found = batches(planner, probe, state)
    units = [u for batch in found for u in batch.units if not u.transient]
    known = dict(state.units) | {u.position: KnownUnit(1, u, 0) for u in units}
    cursor = found[0].reading["upper"] if found else state.cursor
    return LedgerState(
        state.version + 1, "l", known, schema=TableSchema.of(n="BIGINT"), cursor=cursor
    )


def bounds(found):
    return [(batch.reading["lower"], batch.reading["upper"]) for batch in found]


def held(found, version=0):
    return [
        Manifest(
            str(n), "d", version, None, "r", units_of(batch), TableSchema(()), 1, n,
            json.loads(json.dumps(batch.reading)),
        )
        for n, batch in enumerate(found)
    ]  # fmt: skip


def units_of(batch):
    return tuple(ExtractedUnit(unit, 0, 1) for unit in batch.units)


def test_the_first_window_ends_at_the_highest_cursor_and_has_the_nulls():
    (batch,) = batches(planner(cursor="n"), Listed([1, 5, None]))
    assert (batch.reading["upper"], batch.reading["nulls"]) == ("5", True)


def test_the_next_window_begins_at_the_last_cursor_itself():
    made = planner(cursor="n")
    state = loaded(made, Listed([1, 5]))
    assert bounds(batches(made, Listed([1, 5, 5, 9]), state)) == [("5", "9")]


def test_the_next_window_begins_a_lag_before_the_last_cursor():
    made = planner(cursor={"column": "n", "lag": 3})
    assert bounds(batches(made, Listed([9]), loaded(made, Listed([5])))) == [("2", "9")]


def test_rows_that_come_after_an_empty_first_load_are_all_new():
    made = planner(cursor="n")
    state = loaded(made, Listed([None]))
    assert state.cursor is None
    assert bounds(batches(made, Listed([None, 4]), state)) == [(None, "4")]


def test_a_window_without_a_bound_takes_nulls_only():
    assert within({"lower": None, "upper": None, "nulls": True}, "n", str) == (
        "(1 = 0 OR n IS NULL)"
    )


@pytest.mark.parametrize("make", [planner, keyed])
def test_nothing_is_read_where_nothing_came(make):
    made = make(cursor="n")
    probe = Listed([1, 5])
    assert batches(made, probe, loaded(made, probe)) == []


def test_a_merge_reads_a_row_that_came_late_with_the_last_cursor():
    made = keyed(cursor="n")
    state = loaded(made, Listed([1, 5]))
    assert bounds(batches(made, Listed([1, 5, 5]), state)) == [("5", "5")]
    assert batches(made, Listed([1, 5, 5]), loaded(made, Listed([1, 5, 5]), state)) == []


def test_a_merge_reads_a_row_that_came_late_within_the_lag():
    made = keyed(cursor={"column": "n", "lag": 3})
    state = loaded(made, Listed([1, 5]))
    assert bounds(batches(made, Listed([1, 3, 5]), state)) == [("2", "5")]
    assert batches(made, Listed([1, 5]), state) == []


def test_an_append_with_a_lag_reads_late_rows_in_each_run():
    made = planner(cursor={"column": "n", "lag": 3})
    probe = Listed([1, 5])
    assert bounds(batches(made, probe, loaded(made, probe))) == [("2", "5")]


def test_a_cursor_that_went_backwards_is_an_error():
    made = planner(cursor="n")
    with pytest.raises(SourceReadError, match=r"n went backwards: 5 was loaded, and .* is 4"):
        batches(made, Listed([4]), loaded(made, Listed([5])))


def test_a_cursor_may_go_backwards_within_the_lag():
    made = planner(cursor={"column": "n", "lag": 3})
    assert bounds(batches(made, Listed([4]), loaded(made, Listed([5])))) == [("2", "5")]


@pytest.mark.parametrize(
    ("before", "after"), [({}, {"cursor": "n"}), ({"cursor": "n"}, {})], ids=["given", "taken"]
)
def test_an_append_whose_cursor_was_given_or_taken_later_is_refused(before, after):
    probe = Listed([1, 5])
    made = planner(**before)
    found = batches(made, probe)
    known = {u.position: KnownUnit(1, u, 0) for b in found for u in b.units if not u.transient}
    cursor = found[0].reading.get("upper")
    state = LedgerState(1, "l", known, schema=TableSchema.of(n="BIGINT"), cursor=cursor)
    with pytest.raises(ConfigError, match="its rows would come twice"):
        batches(planner(**after), probe, state)


def test_a_source_that_was_emptied_has_nothing_new():
    made = planner(cursor="n")
    assert batches(made, Listed([]), loaded(made, Listed([5]))) == []


@pytest.mark.parametrize("rows", [1, 10, 11, 95])
def test_every_row_of_a_first_load_is_in_one_part(rows):
    found = batches(keyed(cursor="n", chunk_rows=10), Listed(list(range(rows))))
    read = []
    for batch in found:
        condition = part(batch.reading, "n", str).replace("AND", "and") or "True"
        read += [n for n in range(rows) if eval(condition, {"n": n})]
    assert sorted(read) == list(range(rows))


def test_a_whole_table_is_read_in_parts_too():
    found = batches(keyed(chunk_rows=10), Listed(list(range(25))))
    assert [batch.units[0].position for batch in found] == [
        f"all, part {n} of 3" for n in (1, 2, 3)
    ]
    assert all(batch.reading["whole"] for batch in found)


def test_an_append_of_a_whole_table_is_one_unit_that_is_replaced():
    made = planner(chunk_rows=10)
    (batch,) = batches(made, Listed(list(range(25))))
    assert batch.units == (Unit("t", "0"),)


def test_what_a_killed_run_has_read_brings_back_its_whole_plan():
    made = keyed(cursor="n", chunk_rows=10)
    found = batches(made, Listed(list(range(25))))
    later = keyed(cursor="n", chunk_rows=99)
    assert later.resume(held(found)[1:2], FIRST) == found


def test_a_plan_that_reads_other_things_is_not_resumed():
    found = batches(keyed(cursor="n", chunk_rows=10), Listed(list(range(25))))
    other = Planner(DatabaseDataset(name="d", table="t", filter="n > 7"), "another digest")
    assert other.resume(held(found), FIRST) is None


def test_parts_of_one_moment_are_resumed_only_when_all_are_there():
    made = keyed(chunk_rows=10)
    found = batches(made, Listed(list(range(25)), snapshot="here"))
    assert made.resume(held(found)[:2], FIRST) is None
    assert made.resume(held(found), FIRST) == found


def test_parts_of_two_moments_have_different_identities():
    one, other = (
        batches(keyed(chunk_rows=10), Listed(list(range(25)), snapshot=name))
        for name in ("one", "other")
    )
    assert not {b.units[0].identity for b in one} & {b.units[0].identity for b in other}


def test_of_two_plans_the_one_of_which_most_is_there_goes_on():
    made = keyed(cursor="n", chunk_rows=10)
    one = batches(made, Listed(list(range(25))))
    other = batches(keyed(cursor="n", chunk_rows=10), Listed(list(range(35))))
    assert made.resume([*held(one)[:2], *held(other)[:1]], FIRST) == one


def test_a_window_of_a_backfill_is_remembered_and_not_resumed():
    made = planner(cursor="n")
    (batch,) = made.window(Window("1", "3", open=True), Listed([1]))
    assert batch.units == (Unit("window 1 to 3", "1"),)
    assert within(batch.reading, "n", str) == "n >= 1 AND n < 3"
    assert made.resume(held([batch]), FIRST) is None


def test_windows_that_were_backfilled_do_not_seem_to_be_removed():
    made = planner(cursor="n")
    unit = Unit("window 1 to 3", "1")
    state = replace(loaded(made, Listed([5])), units={unit.position: KnownUnit(1, unit, 0)})
    assert made.units(state, Listed([5])) == [unit]


def reconciling(**fields):
    return keyed(cursor="n", missing="delete", **fields)


def test_all_keys_come_with_each_window_but_the_first_if_keys_are_to_go():
    made = reconciling()
    state = loaded(made, Listed([5]))
    assert [b.units[0].position for b in batches(made, Listed([5, 9]), state)] == [
        "cursor window",
        "all keys",
    ]


def test_all_keys_are_read_also_where_nothing_is_new():
    made = reconciling()
    state = loaded(made, Listed([5]))
    window, keys = batches(made, Listed([5]), state)
    assert window.reading["idle"]
    assert "keys" in keys.reading


def test_all_keys_are_read_also_where_no_row_is_left():
    made = reconciling()
    state = loaded(made, Listed([5]))
    window, _ = batches(made, Listed([]), state)
    assert within(window.reading, "n", str) == "1 = 0"


def test_where_the_highest_rows_are_gone_and_may_be_everything_is_read():
    made = reconciling()
    state = loaded(made, Listed([5, 9]))
    window, _ = batches(made, Listed([5]), state)
    assert (window.reading["lower"], window.reading["upper"]) == (None, "5")


def test_keys_that_another_run_read_are_not_used_again():
    made = reconciling()
    state = loaded(made, Listed([5]))
    first, second = (batches(made, Listed([5]), state)[1] for _ in range(2))
    assert first.units == second.units
    assert first.reading != second.reading


def test_a_backfill_without_a_cursor_is_refused():
    with pytest.raises(ConfigError, match="a backfill needs cursor:"):
        planner().window(Window("1", "2"), Listed([1]))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "either table or query"),
        ({"table": "t", "query": "SELECT 1"}, "either table or query"),
        ({"table": "t", "parameters": {"a": 1}}, "parameters are the values of a query"),
        ({"table": "t", "cursor": "n", "write": "replace"}, "replace reads everything"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(fields, said):
    with pytest.raises(ValidationError, match=said):
        DatabaseDataset(name="d", **fields)


def test_a_parameter_without_a_value_is_refused():
    with pytest.raises(ConfigError, match=r"\$regoin without a value; did you mean region\?"):
        with_values("SELECT $regoin", {"region": "EU"})


def test_a_value_without_its_parameter_is_refused():
    with pytest.raises(ConfigError, match=r"the query has no \$b"):
        with_values("SELECT $a", {"a": 1, "b": 2})


@pytest.mark.parametrize("text", ["'$a'", '"$a"', "-- $a\n", "/* $a */", "$x$ $a $x$", "b$a"])
def test_a_parameter_is_not_looked_for_in_text(text):
    assert with_values(f"SELECT {text}, $a", {"a": 1}) == f"SELECT {text}, 1"
