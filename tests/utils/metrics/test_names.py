from __future__ import annotations

import re
from enum import Enum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.errors import ConfigError
from prefect_etl.utils.metrics.names import clean_tags, metric_name, unit_of

PROMETHEUS_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
PROMETHEUS_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


class Colour(StrEnum):
    RED = "red"


class Mixed(str, Enum):  # noqa: UP042 - its text is not its value
    RED = "red"


@given(st.text(max_size=30), st.sampled_from(["counter", "gauge", "histogram"]))
def test_a_name_is_refused_or_one_that_prometheus_takes(name, kind):
    try:
        full = metric_name(name, kind, None)
    except ConfigError:
        return
    assert PROMETHEUS_NAME.fullmatch(full)
    assert full.endswith("_total") == (kind == "counter")
    assert metric_name(full, kind, None) == full


@given(st.dictionaries(st.text(max_size=10), st.one_of(st.text(), st.integers(), st.booleans())))
def test_tags_are_refused_or_labels_that_prometheus_takes(tags):
    try:
        clean = clean_tags("m", tags)
    except ConfigError:
        return
    assert all(PROMETHEUS_LABEL.fullmatch(label) for label, _ in clean)
    assert [label for label, _ in clean] == sorted({label for label, _ in clean})


@pytest.mark.parametrize(
    ("name", "kind", "unit", "full"),
    [
        ("processing_time", "histogram", "seconds", "processing_time_seconds"),
        ("processing_time_seconds", "histogram", "seconds", "processing_time_seconds"),
        ("rows", "counter", None, "rows_total"),
        ("rows_total", "counter", None, "rows_total"),
        ("read", "counter", "bytes", "read_bytes_total"),
        ("rows.read-today", "gauge", None, "rows_read_today"),
    ],
)
def test_names_carry_unit_and_kind(name, kind, unit, full):
    assert metric_name(name, kind, unit) == full


@pytest.mark.parametrize("name", ["", "1st", "größe", "a{b}", "a\nb", "__x", "x" * 300, 7, None])
def test_a_name_that_prometheus_cannot_have_is_refused(name):
    with pytest.raises(ConfigError, match="metric"):
        metric_name(name, "gauge", None)


@pytest.mark.parametrize("unit", ["ms", "minutes", "MB"])
def test_units_that_are_no_base_units_are_refused(unit):
    with pytest.raises(ConfigError, match="base units"):
        metric_name("latency", "histogram", unit)


def test_a_gauge_cannot_be_called_as_a_counter():
    with pytest.raises(ConfigError, match="_total says that it is a counter"):
        metric_name("rows_total", "gauge", None)


@pytest.mark.parametrize("tag", ["le", "quantile", "__name", "1", "a b!"])
def test_a_tag_that_prometheus_cannot_have_is_refused(tag):
    with pytest.raises(ConfigError, match="cannot have the tag"):
        clean_tags("rows", {tag: "x"})


def test_values_of_tags_become_texts_by_their_value():
    given = {"a": True, "b": 1, "c": Colour.RED, "d": Mixed.RED, "e": None}
    assert clean_tags("m", given) == (("a", "true"), ("b", "1"), ("c", "red"), ("d", "red"))


def test_a_long_value_of_a_tag_is_cut():
    assert len(clean_tags("m", {"a": "x" * 10_000})[0][1]) == 200


def test_the_unit_is_said_by_the_name():
    assert [unit_of(name) for name in ("a_seconds", "b_bytes_total", "c_ratio", "d")] == [
        *("s", "By", "1", "")
    ]
