"""Frames are told apart by their contract, in their own library."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_etl.core.contract import Contract
from prefect_etl.errors import ConfigError, ContractError, DataError, SchemaError
from prefect_etl.orchestration.checking import check
from prefect_etl.pipeline.check_frame import check_frame

DATA = {
    "n": [3, -1, None, 7, 3],
    "text": ["a", "b", "c", "", "long text"],
    "day": [date(2024, 1, d) for d in (1, 2, 3, 4, 5)],
    "other": [[1], [2], [3], [4], [5]],
}
CONTRACT = {"columns": {"n": {"ge": 0, "nullable": False}, "text": {"min_length": 1}}}
MAKERS: dict[str, Callable[[Any], Any]] = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "lazy": pl.LazyFrame,
    "arrow": pa.table,
    "batch": pa.RecordBatch.from_pydict,
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return MAKERS[request.param]


def listed(frame: Any, column: str) -> list[Any]:
    frame = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    values = frame[column]
    return values.to_pylist() if hasattr(values, "to_pylist") else list(values)


def test_good_rows_come_back_and_bad_ones_say_why(make):
    frame = make(DATA)
    good, failure = check(frame, CONTRACT)
    assert type(good) is type(failure.rows) is type(frame)
    assert listed(good, "text") == ["a", "long text"]
    assert listed(failure.rows, "text") == ["b", "c", ""]
    assert [list(rules) for rules in listed(failure.rows, "_rules")] == [
        ["n.ge"],
        ["n.nullable"],
        ["text.min_length"],
    ]
    assert list(listed(failure.rows, "_reasons")[0]) == ["n is less than 0"]
    assert listed(failure.rows, "_row") == [2, 3, 4]
    assert failure.counts == {"n.nullable": 1, "n.ge": 1, "text.min_length": 1}
    assert (bool(failure), failure.ok, len(failure), failure.share) == (True, False, 3, 0.6)


def test_a_frame_that_keeps_its_contract_comes_back_itself(make):
    frame = make({"n": [1, 2]})
    good, failure = check(frame, Contract(columns={"n": {"ge": 0}}))
    assert (bool(failure), failure.ok, len(failure), failure.counts) == (False, True, 0, {})
    assert listed(failure.rows, "n") == listed(failure.rows, "_row") == []
    assert listed(good, "n") == [1, 2]
    assert good is frame or isinstance(good, pl.LazyFrame)
    failure.raise_if_any()


def test_the_schema_stays_as_it_was_whatever_the_contract_converts(make):
    frame = make({"n": ["1", "x", "3"], "k": [1, 2, 3]})
    good, failure = check(frame, {"columns": {"n": {"type": "int64", "le": 2}}})
    assert listed(good, "n") == ["1"]
    assert failure.counts == {"n.type": 1, "n.le": 1}
    if isinstance(good, pd.DataFrame):
        assert (good.dtypes == frame.dtypes).all()
    else:
        assert (good.collect_schema() if isinstance(good, pl.LazyFrame) else good.schema) == (
            frame.collect_schema() if isinstance(frame, pl.LazyFrame) else frame.schema
        )


@pytest.mark.parametrize(
    "index",
    [
        pd.Index(list("abcde"), name="id"),
        pd.Index([1, 1, 1, 2, 2]),
        pd.MultiIndex.from_product([[1], list("abcde")]),
        pd.date_range("2024-01-01", periods=5, tz="Europe/Berlin"),
    ],
    ids=["named", "repeated", "multi", "times"],
)
def test_an_index_of_pandas_is_kept(index):
    frame = pd.DataFrame(DATA, index=index)
    good, failure = check(frame, CONTRACT)
    pd.testing.assert_frame_equal(good, frame.iloc[[0, 4]])
    pd.testing.assert_frame_equal(failure.rows[list(DATA)], frame.iloc[[1, 2, 3]])


def test_types_of_pandas_are_kept():
    frame = pd.DataFrame(
        {
            "kind": pd.Categorical(["x", "y", "x"]),
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "time": pd.to_datetime(["2024-01-01"] * 3, utc=True).tz_convert("Asia/Tokyo"),
            "object": [object(), 1, "x"],
        }
    )
    good, failure = check(frame, {"columns": {"kind": {"isin": ["x", "z"]}, "whole": {"ge": 2}}})
    pd.testing.assert_frame_equal(good, frame.iloc[[2]])
    assert failure.counts == {"kind.isin": 1, "whole.ge": 1}


def test_values_of_several_kinds_can_be_told_apart_by_their_type():
    frame = pd.DataFrame({"n": [1, "2", "x", 2.5, None, pd.NA]})
    good, failure = check(frame, {"columns": {"n": {"type": "int64"}}})
    assert good["n"].tolist()[:2] == [1, "2"]
    assert failure.rows["n"].tolist() == ["x", 2.5]
    with pytest.raises(DataError, match="'n': it holds"):
        check(frame, {"columns": {"n": {"nullable": False}}})


def test_of_values_that_must_be_unique_the_first_stays(make):
    good, failure = check(
        make({"k": [1, 2, 1, None, None, 1]}), {"columns": {"k": {"unique": True}}}
    )
    assert [value for value in listed(good, "k") if value == value][:2] == [1, 2]  # noqa: PLR0124
    assert listed(failure.rows, "_row") == [3, 6]


def test_a_contract_that_warns_keeps_all_rows(make):
    frame = make(DATA)
    good, failure = check(frame, CONTRACT | {"on_violation": "warn"})
    assert listed(good, "text") == DATA["text"]
    assert len(failure) == 3
    failure.raise_if_any()
    failure.raise_if_refused()


def test_what_a_load_would_refuse_is_told():
    frame = pl.DataFrame(DATA)
    refused = {
        share: check(frame, CONTRACT | {"max_rejected": share})[1].refused
        for share in ("50%", "60%", None)
    }
    assert refused == {"50%": True, "60%": False, None: False}
    assert check(frame, CONTRACT | {"on_violation": "fail"})[1].refused
    with pytest.raises(
        DataError, match="3 of 5 rows broke the contract: 1 row: n is null; 1 row: n"
    ):
        check(frame, CONTRACT | {"max_rejected": 0})[1].raise_if_refused()


def test_below_prefect_the_error_is_the_contracts():
    with pytest.raises(ContractError):
        check_frame(pl.DataFrame(DATA), CONTRACT)[1].raise_if_any()


def test_a_misspelt_column_is_an_error_with_the_nearest_name(make):
    with pytest.raises(SchemaError, match="did you mean text"):
        check(make(DATA), {"columns": {"txet": {"nullable": False}}})


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        ({"colums": {}}, "colums"),
        ({"columns": {"n": {"gee": 1}}}, "columns.n.gee"),
        ({"columns": {"n": {"type": "a;b"}}}, "columns.n.type"),
        ([], "contract"),
    ],
)
def test_a_wrong_contract_says_where(contract, said):
    with pytest.raises(ConfigError, match=said):
        check(pl.DataFrame(DATA), contract)


def test_a_rule_that_does_not_fit_its_column_is_an_error_with_a_way_out():
    with pytest.raises(ConfigError, match="text is VARCHAR") as caught:
        check(pl.DataFrame(DATA), {"columns": {"text": {"ge": 5}}})
    assert "type" in str(caught.value.hint)


@pytest.mark.parametrize("frame", [[1], {"n": [1]}, pd.Series([1]), None], ids=str)
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(ConfigError, match="no frame"):
        check(frame, {"columns": {}})


def test_columns_of_one_name_are_refused_where_a_rule_names_them():
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "a", "b"])
    assert check(frame, {"columns": {"b": {"ge": 0}}})[1].ok
    with pytest.raises(SchemaError, match="2 columns with the name a"):
        check(frame, {"columns": {"a": {"ge": 0}}})


def test_hostile_names_and_values_are_only_that(make):
    name = 'a"; DROP TABLE x; --'
    good, failure = check(make({name: ["'", "ok"]}), {"columns": {name: {"isin": ["'"]}}})
    assert (listed(good, name), len(failure)) == (["'"], 1)


def test_rows_that_were_checked_before_can_be_checked_again(make):
    _, failure = check(make(DATA), CONTRACT)
    _, again = check(failure.rows, {"columns": {"text": {"isin": ["b"]}}})
    assert listed(again.rows, "_row") == [2, 3]
    assert list(listed(again.rows, "_rules")[0]) == ["text.isin"]


def test_empty_frames_and_contracts_break_nothing(make):
    assert check(make({"n": pa.array([], pa.int64()).to_numpy()}), {"columns": {"n": {"ge": 1}}})[
        1
    ].ok
    assert check(make(DATA), {})[1].ok


def test_a_failure_travels_to_another_process():
    _, failure = check(pl.DataFrame(DATA), CONTRACT)
    copy = pickle.loads(pickle.dumps(failure))
    assert copy.counts == failure.counts
    assert copy.rows.equals(failure.rows)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.none() | st.integers(-5, 5), max_size=30),
    st.integers(-5, 5),
    st.booleans(),
    st.sets(st.integers(-5, 5), min_size=1),
)
def test_every_library_agrees_with_plain_python(values, bound, nullable, allowed):
    contract = {"columns": {"n": {"ge": bound, "nullable": nullable, "isin": sorted(allowed)}}}

    def keeps(value: int | None) -> bool:
        return nullable if value is None else value >= bound and value in allowed

    expected = [row for row, value in enumerate(values, 1) if not keeps(value)]
    for frame in (
        pd.DataFrame({"n": pd.array(values, dtype="Int64")}),
        pl.DataFrame({"n": values}, schema={"n": pl.Int64}),
        pa.table({"n": pa.array(values, pa.int64())}),
    ):
        good, failure = check(frame, contract)
        assert listed(failure.rows, "_row") == expected
        assert len(listed(good, "n")) + len(failure) == len(values)


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"x": pl.Series(["a", None, "b"], dtype=pl.Categorical)}),
        pl.DataFrame({"x": pl.Series(["a", None, "b"], dtype=pl.Enum(["a", "b"]))}),
        pl.DataFrame({"x": [{"y": 1}, None, {"y": 2}]}),
        pa.table({"x": pa.array(["a", None, "b"], pa.string_view())}),
        pa.table({"x": pa.array(["a", None, "b"]).dictionary_encode()}),
        pa.table(
            {"x": pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 3], pa.int32()), [1, None, 2])}
        ),
        pa.RecordBatch.from_pydict({"x": pa.array(["a", None, "b"], pa.string_view())}),
        pd.DataFrame({"x": pd.PeriodIndex(["2024-01", None, "2024-02"], freq="M")}),
        pd.DataFrame({"x": pd.array([1, None, 2], dtype="int64[pyarrow]")}),
    ],
    ids=["categorical", "enum", "struct", "view", "dictionary", "runs", "batch", "period", "arrow"],
)
def test_types_of_each_library_are_kept(frame):
    good, failure = check(frame, {"columns": {"x": {"nullable": False}}})
    bad = failure.rows
    assert listed(bad, "_row") == [2]
    kinds = [
        part["x"].type if hasattr(part["x"], "type") else part["x"].dtype
        for part in (frame, good, bad)
    ]
    assert len(set(map(str, kinds))) == 1
    assert listed(good, "x") == [listed(frame, "x")[row] for row in (0, 2)]


def test_a_sliced_and_chunked_table_is_what_it_shows():
    table = pa.concat_tables([pa.table({"n": [9, -1, 2]}), pa.table({"n": [-3, 4]})]).slice(1, 3)
    good, failure = check(table, {"columns": {"n": {"ge": 0}}})
    assert good.to_pydict() == {"n": [2]}
    assert listed(failure.rows, "n") == [-1, -3]


def test_nan_is_null_in_pandas_and_a_number_elsewhere():
    contract = {"columns": {"n": {"nullable": False}}}
    assert len(check(pd.DataFrame({"n": [1.0, np.nan]}), contract)[1]) == 1
    assert check(pl.DataFrame({"n": [1.0, float("nan")]}), contract)[1].ok
