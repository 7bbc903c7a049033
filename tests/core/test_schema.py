"""Laws of widening and evolution."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.core.schema import TableSchema, evolve, widen
from prefect_etl.errors import SchemaError

INTEGERS = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"]
NUMBERS = st.sampled_from([*INTEGERS, "UBIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL(9,2)"])
KINDS = st.one_of(NUMBERS, st.sampled_from(["VARCHAR", "DATE", "BLOB", "NULL"]))


@given(NUMBERS, NUMBERS)
def test_widening_does_not_depend_on_the_order(one: str, other: str) -> None:
    assert widen(one, other) == widen(other, one)


@given(KINDS)
def test_a_type_fits_itself(kind: str) -> None:
    assert widen(kind, kind) == kind


@given(NUMBERS, NUMBERS)
def test_a_widened_type_fits_both_and_stays(one: str, other: str) -> None:
    wider = widen(one, other)
    if wider is not None:
        assert widen(wider, one) == widen(wider, other) == wider


@given(KINDS)
def test_nulls_fit_everything(kind: str) -> None:
    assert widen("NULL", kind) == widen(kind, "NULL") == kind


@given(st.dictionaries(st.text("abc", min_size=1), KINDS, min_size=1))
def test_evolving_twice_is_evolving_once(types: dict[str, str]) -> None:
    schema = TableSchema.of(**types)
    table = evolve(None, schema).schema
    assert evolve(table, table).schema == table


def test_all_refusals_are_listed() -> None:
    with pytest.raises(SchemaError, match=r"column a is BIGINT.*column b is DATE"):
        evolve(TableSchema.of(a="BIGINT", b="DATE"), TableSchema.of(a="VARCHAR", b="BIGINT"))


def test_columns_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(SchemaError, match="differ only in case"):
        TableSchema.of(id="BIGINT", ID="BIGINT")


def test_a_column_is_found_in_any_case() -> None:
    evolution = evolve(TableSchema.of(Id="BIGINT"), TableSchema.of(ID="BIGINT"))
    assert not evolution.changed
