"""Names in snake_case, and names that would meet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.naming import assert_apart, snake_case
from prefect_etl.core.schema import TableSchema
from prefect_etl.errors import SchemaError
from prefect_etl.pipeline.prepare import project


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("orderID", "order_id"),
        ("OrderId", "order_id"),
        ("order id", "order_id"),
        ("ORDER_ID", "order_id"),
        ("already_snake", "already_snake"),
        ("Preis (€)", "preis"),
        ("注文 番号", "注文_番号"),
        ("1st", "_1st"),
        ("€", "€"),
        ('a "quoted" name', "a_quoted_name"),
    ],
)
def test_a_name_becomes_snake_case(name, expected):
    assert snake_case(name) == expected


@given(st.text(min_size=1))
def test_snake_case_is_stable_and_never_empty(name):
    assert snake_case(name)
    assert snake_case(snake_case(name)) == snake_case(name)


def test_two_columns_that_would_meet_are_both_named():
    spec = DatasetSpec(name="orders", naming="snake_case")
    raw = TableSchema.of(**{"Order ID": "BIGINT", "order_id": "BIGINT"})
    with pytest.raises(SchemaError, match="'Order ID' and 'order_id' would both be called"):
        project(raw, spec)


def test_names_apart_are_let_be():
    assert_apart([("a", "a"), ("B", "b")], "orders")


def test_rename_speaks_of_the_sources_names():
    spec = DatasetSpec(name="o", naming="snake_case", columns={"rename": {"Order ID": "id"}})
    raw = TableSchema.of(**{"Order ID": "BIGINT", "Total €": "DOUBLE"})
    assert [p.column.name for p in project(raw, spec)] == ["id", "total"]
