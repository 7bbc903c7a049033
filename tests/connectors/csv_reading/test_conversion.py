"""Text becomes a value exactly, or not at all."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from prefect_etl.connectors.files.csv.layout import Layout

_COMMA = Layout(delimiter=";", decimal=",", thousands=".")
RIGHT: list[tuple[str, str, Layout, Any]] = [
    ("1.234,50", "DECIMAL(9,2)", _COMMA, Decimal("1234.50")),
    ("-0,5", "DOUBLE", _COMMA, -0.5),
    ("1.234.567", "BIGINT", _COMMA, 1234567),
    ("1 234 567", "BIGINT", Layout(delimiter=";", thousands=" "), 1234567),
    ("1'234.5", "DOUBLE", Layout(delimiter=";", thousands="'"), 1234.5),
    ("170141183460469231731687303715884105727", "HUGEINT", _COMMA, 2**127 - 1),
    ("31.12.2024", "DATE", Layout(dates={"a": ("%d.%m.%Y",)}), date(2024, 12, 31)),
    (
        "1/2/2024 13:00",
        "TIMESTAMP",
        Layout(dates={"a": ("%Y-%m-%d", "%d/%m/%Y %H:%M")}),
        datetime(2024, 2, 1, 13),  # noqa: DTZ001 - as DuckDB gives it
    ),
    (" 12 ", "BIGINT", Layout(), 12),
    ("", "BIGINT", Layout(), None),
]
WRONG: list[tuple[str, str, Layout]] = [
    ("1.5", "BIGINT", Layout()),
    ("1e3", "BIGINT", Layout()),
    ("12.34", "DOUBLE", _COMMA),
    ("1.23,4", "DOUBLE", _COMMA),
    ("1,234.5", "DOUBLE", _COMMA),
    ("9223372036854775808", "BIGINT", Layout()),
    ("31/02/2024", "DATE", Layout(dates={"a": ("%d/%m/%Y",)})),
    ("soon", "TIMESTAMP", Layout()),
]


@pytest.mark.parametrize(("text", "kind", "layout", "value"), RIGHT)
def test_a_text_is_read_as_a_value(
    careful: Any, text: str, kind: str, layout: Layout, value: Any
) -> None:
    sign = layout.delimiter
    found = careful(f"a{sign}b\n{text}{sign}x\n", layout, (kind, "VARCHAR"))
    assert found.rows == [(value, "x")]


@pytest.mark.parametrize(("text", "kind", "layout"), WRONG)
def test_a_text_that_is_no_value_is_put_aside(
    careful: Any, text: str, kind: str, layout: Layout
) -> None:
    sign = layout.delimiter
    found = careful(f'a{sign}b\n{sign}y\n"{text}"{sign}x\n', layout, (kind, "VARCHAR"))
    assert found.rows == [(None, "y")]
    assert found.rules == [(3, "csv.type.a")]


def test_nulls_are_those_that_the_user_says(careful: Any) -> None:
    found = careful("a,b\nNA,x\n1,\n", types=("BIGINT", "VARCHAR"), nulls=["NA"])
    assert found.rows == [(None, "x"), (1, "")]
