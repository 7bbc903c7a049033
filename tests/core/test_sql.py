"""Quoting survives every name and value, and DuckDB reads back what was written."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.core.sql import identifier, literal

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(TEXT)
def test_a_name_comes_back_as_it_was(name: str) -> None:
    result = duckdb.execute(f"SELECT 1 AS {identifier(name)}")
    assert result.description[0][0] == name


@given(st.one_of(TEXT, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none()))
def test_a_value_comes_back_as_it_was(value: object) -> None:
    assert duckdb.execute(f"SELECT {literal(value)}").fetchone() == (value,)


@given(st.floats())
def test_a_float_comes_back_as_it_was(value: float) -> None:
    (found,) = duckdb.execute(f"SELECT CAST({literal(value)} AS DOUBLE)").fetchone()
    assert repr(found) == repr(value) or found == value


@pytest.mark.parametrize("quote", [identifier, literal])
def test_a_nul_character_is_refused(quote: object) -> None:
    with pytest.raises(ValueError, match="NUL"):
        quote("a\0b")
