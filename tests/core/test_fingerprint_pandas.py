"""The keys of pandas frames, with any index and type."""

from __future__ import annotations

import pickle
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from prefect_etl.core.fingerprint import FingerprintError, fingerprint
from prefect_etl.core.fingerprint.encoding import WINDOW

LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

Frame = pd.DataFrame


def each(kinds: list[str], values: list[Any]) -> dict[str, list[Any]]:
    return dict.fromkeys(kinds, values)


# Three values for each type, of which the last is missing where there is such.
TYPED: dict[str, list[Any]] = {
    **each(["int8", "int16", "int32", "int64", "uint8", "uint64"], [1, 2, 3]),
    **each(["float16", "float32", "float64"], [1.5, -0.0, np.nan]),
    **each(["complex64", "complex128"], [1j, 2, np.nan]),
    "bool": [True, False, True],
    **each(["Int8", "Int64", "UInt32"], [1, 2, None]),
    **each(["Float32", "Float64"], [1.5, 2.0, None]),
    "boolean": [True, False, None],
    **each(["str", "string[python]", "string[pyarrow]"], ["a", "bc", None]),
    "object": ["a", 1, None],
    "category": ["b", "a", None],
    **each(["datetime64[s]", "datetime64[ns]"], ["2024-01-01", "2024-01-02", None]),
    **each(
        ["datetime64[us, UTC]", "datetime64[us, Europe/Berlin]", "datetime64[us, UTC+01:00]"],
        ["2024-01-01", "2024-01-02", None],
    ),
    "timedelta64[s]": [1, 2, None],
    "timedelta64[ns]": [1, 2, None],
    **each(["period[D]", "period[M]"], ["2024-01-01", "2024-02-01", None]),
    "Sparse[int64]": [0, 1, 2],
    "Sparse[float64]": [0.0, 1.0, np.nan],
    "int64[pyarrow]": [1, 2, None],
    "double[pyarrow]": [1.0, 2.0, None],
    "string[pyarrow_arrow]": ["a", "b", None],
    "timestamp[us][pyarrow]": ["2024-01-01", "2024-01-02", None],
    "list<item: int64>[pyarrow]": [[1], [], None],
}


def column(kind: str) -> pd.Series:
    values = TYPED[kind]
    if kind == "string[pyarrow_arrow]":
        return pd.Series(values, dtype=pd.ArrowDtype(pa.string()))
    if kind == "list<item: int64>[pyarrow]":
        return pd.Series(values, dtype=pd.ArrowDtype(pa.list_(pa.int64())))
    if kind.startswith("datetime64") and "," in kind:
        zone = kind[:-1].split(", ")[1]
        return pd.Series(pd.to_datetime(values).tz_localize(zone).as_unit("us"))
    return pd.Series(values, dtype=kind)


COLUMNS = {kind: column(kind) for kind in TYPED}
COLUMNS["sparse, filled with 1"] = pd.Series([0, 1, 2], dtype=pd.SparseDtype("int64", 1))
COLUMNS["interval"] = pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]))
COLUMNS["interval, left"] = pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3], "left"))
COLUMNS["interval of floats"] = pd.Series(pd.arrays.IntervalArray.from_breaks([0.0, 1, 2, 3]))
COLUMNS["ordered"] = pd.Series(pd.Categorical(["b", "a", None], ordered=True))
COLUMNS["other order"] = pd.Series(pd.Categorical(["b", "a", None], categories=["b", "a"]))
COLUMNS["unused"] = pd.Series(pd.Categorical(["b", "a", None], categories=["a", "b", "c"]))
COLUMNS["category of numbers"] = pd.Series(pd.Categorical([1, 2, None]))


def test_every_type_has_a_key_of_its_own():
    for cut in (slice(None), slice(0, 0), slice(0, 1)):
        keys = {fingerprint(values[cut]): kind for kind, values in COLUMNS.items()}
        assert sorted(keys.values()) == sorted(COLUMNS)


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_type_is_keyed_by_its_values(kind):
    values = COLUMNS[kind]
    frame = Frame({"a": values})
    key = fingerprint(frame)
    assert fingerprint(frame.copy()) == key
    assert fingerprint(pickle.loads(pickle.dumps(frame))) == key
    twice = Frame({"a": pd.concat([values, values])})
    assert fingerprint(twice[3:]) == fingerprint(twice[:3]) == key
    assert fingerprint(Frame({"a": values.repeat(2)})[::2]) == key
    swapped = Frame({"a": values.take([1, 0, 2]).array})
    assert fingerprint(swapped) != key
    assert fingerprint(values) != fingerprint(values.rename("b"))
    assert fingerprint(values.array) == fingerprint(values.copy().array)
    assert fingerprint(values.dtype) == fingerprint(values.copy().dtype)


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_type_can_be_the_index(kind):
    if "float16" in kind or "list" in kind:
        return  # pandas has no such index
    index = pd.Index(COLUMNS[kind].array)
    frame = Frame({"a": [1, 2, 3]}, index=index)
    assert fingerprint(frame) == fingerprint(frame.copy())
    assert fingerprint(frame) != fingerprint(frame.reset_index(drop=True))
    assert fingerprint(frame) != fingerprint(frame.set_index(index.take([1, 0, 2])))
    assert fingerprint(frame) != fingerprint(frame.rename_axis("i"))
    many = frame.set_index([index, [1, 2, 3]])
    assert fingerprint(many) == fingerprint(many.copy())
    assert fingerprint(many) != fingerprint(many.set_index([index.take([1, 0, 2]), [1, 2, 3]]))


VALUES = st.sampled_from([0, 1, 2])
MADE = {
    "ints": st.lists(VALUES, min_size=3, max_size=3),
    "floats": st.lists(st.sampled_from([0.5, np.nan, 1.0]), min_size=3, max_size=3),
    "texts": st.lists(st.sampled_from(["a", "b", None]), min_size=3, max_size=3),
    "objects": st.lists(st.sampled_from(["a", 1, b"a"]), min_size=3, max_size=3).map(
        lambda values: pd.Series(values, dtype=object)
    ),
    "dates": st.lists(st.sampled_from([date(2024, 1, 1), date(2024, 1, 2)]), min_size=3, max_size=3)
    .map(pd.to_datetime)
    .map(pd.Series),
    "nullable": st.lists(VALUES | st.none(), min_size=3, max_size=3).map(
        lambda values: pd.array(values, dtype="Int64")
    ),
    "categories": st.lists(st.sampled_from(["a", "b"]), min_size=3, max_size=3).map(
        lambda values: pd.Categorical(values, categories=["a", "b"])
    ),
}
INDEXES = st.one_of(
    st.just(pd.RangeIndex(3)),
    st.just(pd.Index([0, 1, 2])),
    st.just(pd.RangeIndex(0, 6, 2)),
    st.just(pd.Index([0.0, 1.0, 2.0])),
    st.just(pd.Index([2, 1, 0])),
    st.just(pd.Index([0, 1, 2], name="i")),
    st.just(pd.Index(["a", "b", "c"])),
    st.just(pd.Index(["a", "b", "c"], dtype=object)),
    st.just(pd.date_range("2024", periods=3)),
    st.just(pd.DatetimeIndex(list(pd.date_range("2024", periods=3)))),
    st.just(pd.MultiIndex.from_tuples([(0, "a"), (1, "b"), (2, "c")])),
    st.just(pd.MultiIndex.from_tuples([(0, "a"), (1, "b"), (9, "c")])),
    st.just(pd.MultiIndex.from_tuples([(0, "a"), (1, "b"), (2, "c")], names=["x", None])),
)
LABELS = st.sampled_from(["a", "b", 1, "1"])


@st.composite
def frames(draw: Any) -> Frame:
    kinds = draw(st.lists(st.sampled_from(list(MADE)), max_size=2))
    labels = draw(st.lists(LABELS, min_size=len(kinds), max_size=len(kinds)))
    columns = [
        pd.Series(draw(MADE[kind]), name=label) for kind, label in zip(kinds, labels, strict=True)
    ]
    frame = pd.concat(columns, axis=1) if columns else Frame(index=range(3))
    return frame.set_axis(draw(INDEXES), axis=0)


@settings(LAW, max_examples=200)
@given(frames(), frames())
def test_keys_are_equal_where_pandas_says_that_frames_are(one, other):
    try:
        assert_frame_equal(one, other, check_exact=True)
    except AssertionError:
        assert fingerprint(one) != fingerprint(other)
    else:
        assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one.copy()) == fingerprint(one)


@settings(LAW, max_examples=50)
@given(st.integers(0, 9), st.integers(1, 4), st.sampled_from(["f8", "i4", "?", "c8", "M8[us]"]))
def test_the_layout_of_blocks_does_not_matter(rows, width, kind):
    values = np.arange(rows * width).reshape(rows, width).astype("i8").astype(kind)
    frame = Frame(values)
    key = fingerprint(frame)
    assert fingerprint(Frame(np.asfortranarray(values))) == key
    apart = Frame(index=range(rows), columns=range(width))
    for place in range(width):
        apart[place] = values[:, place].copy()
    assert fingerprint(apart) == key
    wide = Frame(np.repeat(values, 2, axis=1)).iloc[:, ::2].set_axis(range(width), axis=1)
    assert fingerprint(wide) == key
    swapped = frame.to_numpy().astype(values.dtype.newbyteorder(">"))
    assert fingerprint(Frame(swapped)) == key


def test_using_a_frame_does_not_change_its_key():
    # Prefect's INPUTS pickles caches of the index too.
    frame = Frame({"a": [1.0, 2.0]}, index=["x", "y"])
    key = fingerprint(frame)
    frame.loc["x"], frame.index.is_unique, frame.index.get_loc("y"), frame["a"].mean()
    frame.attrs["note"] = "not content"
    assert fingerprint(frame) == key


def test_labels_of_any_kind_are_keyed_by_type():
    # Prefect's INPUTS raises for names of mixed types, and then runs uncached.
    keys = {
        fingerprint(Frame([[1, 2]], columns=columns))
        for columns in ([1, "1"], ["1", 1], ["1", "1"], [1, 1], [(1, 2), None], [1.0, 1])
    }
    assert len(keys) == 6


def test_columns_of_one_name_are_told_apart_by_place():
    frame = Frame([[1, "x"]], columns=["a", "a"])
    assert fingerprint(frame) != fingerprint(frame.iloc[:, ::-1])


OBJECTS = [
    [None, "a"],
    [np.nan, "a"],
    [pd.NA, "a"],
    [pd.NaT, "a"],
    [b"a", b"b"],
    [Decimal("1.0"), Decimal(2)],
    [Decimal("1.00"), Decimal(2)],
    [date(2024, 1, 1), None],
    [UUID(int=1), None],
    [[1], {"a": 1}],
    [(1,), {"a": 1}],
    [1, True],
    [1, 1],
    [1.0, 1],
    [np.int64(1), 1],
    [pd.Timestamp("2024-01-01"), None],
    [pd.Timestamp("2024-01-01", tz="UTC"), None],
    [pd.Timedelta(1), None],
    [pd.Interval(0, 1), pd.Interval(0, 1, "left")],
    [pd.Period("2024", "D"), pd.Period("2024", "M")],
    [Frame({"a": [1]}), None],
    ["\ud800", "a"],
]


def objects(values: list[Any]) -> Frame:
    return Frame({"o": pd.Series(values, dtype=object)})


@pytest.mark.parametrize("values", OBJECTS, ids=repr)
def test_objects_with_exact_content_are_keyed(values):
    key = fingerprint(objects(values))
    assert key == fingerprint(objects([*values, 1])[:2])
    if values[0] is not values[1]:
        assert key != fingerprint(objects(values[::-1]))


def test_objects_are_keyed_by_type_and_value():
    assert len({fingerprint(objects(values)) for values in OBJECTS}) == len(OBJECTS)


def test_objects_without_exact_content_are_refused_by_column_and_row():
    frame = Frame({"x": [1, 2], "model": pd.Series([1, object()], dtype=object)})
    with pytest.raises(FingerprintError, match=r"args\[0\], column 'model', row 1 is an object"):
        fingerprint([frame], name="args")
    with pytest.raises(FingerprintError, match=r"value\.index row 0 is an object"):
        fingerprint(Frame({"x": [1]}, index=[object()]))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (pd.RangeIndex(3), pd.Index([0, 1, 2]), True),
        (pd.RangeIndex(3), pd.Index([0, 1, 3]), False),
        (pd.RangeIndex(3), pd.Index([0, 1, 2], dtype="int32"), False),
        (pd.RangeIndex(0), pd.Index([], dtype="int64"), True),
        (pd.RangeIndex(5, 6), pd.Index([5]), True),
        (pd.RangeIndex(5, 6), pd.RangeIndex(5, 7, 2), True),
        (pd.Index([5, 5, 5]), pd.RangeIndex(5, 8), False),
        (pd.Index([-(2**63), 2**63 - 1]), pd.Index([2**63 - 1, -(2**63)]), False),
        (pd.RangeIndex(0, 2 * WINDOW), pd.Index(np.arange(2 * WINDOW)), True),
        (pd.RangeIndex(3), pd.RangeIndex(3, name="i"), False),
        (
            pd.date_range("2024", periods=3),
            pd.date_range("2024", periods=3)._with_freq(None),
            False,
        ),
    ],
)
def test_indexes_are_one_where_pandas_says_equivalent(one, other, same):
    assert (fingerprint(one) == fingerprint(other)) is same
    frames = [Frame({"a": range(len(index))}, index=index) for index in (one, other)]
    assert (fingerprint(frames[0]) == fingerprint(frames[1])) is (same and len(one) == len(other))


def test_unused_levels_do_not_matter():
    frame = Frame({"a": range(4)}, index=pd.MultiIndex.from_product([["x", "y"], [1, 2]]))
    one = frame.loc[["y"]]
    other = Frame({"a": [2, 3]}, index=pd.MultiIndex.from_tuples([("y", 1), ("y", 2)]))
    assert fingerprint(one) == fingerprint(other)


def test_nan_bits_do_not_matter_and_zeros_have_signs():
    payload = np.array([0x7FF8000000000123], np.uint64).view(float)
    assert fingerprint(Frame({"a": payload})) == fingerprint(Frame({"a": [np.nan]}))
    assert fingerprint(Frame({"a": [0.0]})) != fingerprint(Frame({"a": [-0.0]}))


def test_nan_is_not_null_where_the_type_tells_them_apart():
    nulls = pd.arrays.FloatingArray(np.array([0.0]), np.array([True]))
    nans = pd.arrays.FloatingArray(np.array([np.nan]), np.array([False]))
    assert fingerprint(pd.Series(nulls)) != fingerprint(pd.Series(nans))
    dirty = pd.arrays.IntegerArray(np.array([1, 99]), np.array([False, True]))
    assert fingerprint(pd.Series(dirty)) == fingerprint(pd.Series([1, None], dtype="Int64"))


def test_empty_frames_differ_by_their_shape_and_types():
    frames = [
        Frame(),
        Frame(index=range(3)),
        Frame(columns=["a"]),
        Frame({"a": pd.Series([], dtype="int64")}),
        Frame({"a": pd.Series([], dtype="float64")}),
        Frame({"b": pd.Series([], dtype="float64")}),
        pd.Series([], dtype="float64"),
        pd.Index([], dtype="float64"),
    ]
    assert len({fingerprint(frame) for frame in frames}) == len(frames)


class Tagged(Frame):
    _metadata = ("unit",)

    @property
    def _constructor(self) -> type:
        return Tagged


def test_a_subclass_is_a_type_of_its_own_with_what_it_adds():
    frames = [Tagged({"a": [1]}) for _ in range(3)]
    frames[1].unit, frames[2].unit = "m", "s"
    keys = {fingerprint(frame) for frame in [Frame({"a": [1]}), *frames]}
    assert len(keys) == 4
    again = Tagged({"a": [1]})
    again.unit = "m"
    assert fingerprint(again) in keys


@pytest.mark.parametrize("rows", [WINDOW - 1, WINDOW + 1])
def test_windows_do_not_matter(rows):
    rng = np.random.default_rng(0)
    mask = rng.random(rows) < 0.1
    numbers = rng.integers(0, 9, rows)
    frame = Frame(
        {
            "i": numbers,
            "f": np.where(mask, np.nan, numbers),
            "n": pd.arrays.IntegerArray(numbers, mask),
            "s": pd.Series(numbers.astype("U1")).mask(mask),
            "p": pd.Series(numbers.astype("U1"), dtype="string[python]"),
            "c": pd.Categorical(numbers),
            "z": pd.arrays.SparseArray(np.where(mask, 1, 0)),
            "o": pd.Series([str(n) for n in numbers], dtype=object),
        }
    )
    twice = pd.concat([frame.iloc[:7], frame], ignore_index=True)
    assert fingerprint(twice.iloc[7:].reset_index(drop=True)) == fingerprint(frame)
    for name in frame:
        other = frame.copy()
        values = frame[name].tolist()
        values[-1] = next(value for value in values if value != values[-1])
        other[name] = pd.Series(values, dtype=frame[name].dtype)
        assert fingerprint(other) != fingerprint(frame), name


SCALARS = [
    pd.NA,
    pd.NaT,
    pd.Timestamp("2024-01-01"),
    pd.Timestamp("2024-01-01").as_unit("s"),
    pd.Timestamp("2024-01-01", tz="UTC"),
    pd.Timestamp("2024-01-01 00:00:00.000000001"),
    pd.Timestamp("9999-01-01").as_unit("s"),
    pd.Timedelta(1),
    pd.Timedelta(2),
    pd.Timedelta(1).as_unit("s"),
    pd.Period("2024", "D"),
    pd.Period("2024", "M"),
    pd.Interval(0, 1),
    pd.Interval(0.0, 1.0),
    pd.offsets.Day(1),
    pd.offsets.Day(2),
    pd.offsets.MonthEnd(1),
    pd.CategoricalDtype(["a"]),
    pd.CategoricalDtype(["a"], ordered=True),
    pd.Int64Dtype(),
]


def test_scalars_and_types_have_keys_of_their_own():
    assert len({fingerprint(value) for value in SCALARS}) == len(SCALARS)
    assert [fingerprint(pickle.loads(pickle.dumps(value))) for value in SCALARS] == [
        fingerprint(value) for value in SCALARS
    ]
