"""What is kept comes back the same: frames of every library, and values by exact type."""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_etl.orchestration.caching.container import DamagedError, MemoryContent
from prefect_etl.orchestration.caching.exact import NoExactFormError
from prefect_etl.orchestration.caching.result_file import read_value, write_value
from prefect_etl.orchestration.caching.serializer import ExactSerializer

N = 4
NAIVE = dt.datetime.fromisoformat("2020-10-25T02:30:00")
COLUMNS: dict[str, Any] = {
    "integers": np.arange(N),
    "floats": [1.5, np.nan, -0.0, np.inf],
    "half": np.arange(N, dtype="f2"),
    "bools": [True, False, True, False],
    "complex": np.array([1j, 2, 3, 4]),
    "text": ["a", None, "b", "c"],
    "text of Python": pd.array(["a", None, "c", "d"], dtype="string[python]"),
    "text of Arrow": pd.array(["a", None, "c", "d"], dtype="string[pyarrow]"),
    "text objects": pd.Series(["a", None, "b", "c"], dtype=object),
    "bytes": [b"a", None, b"", b"c"],
    "mixed": [1, "a", None, np.nan],
    "decimals": [Decimal("1.10"), None, Decimal("-0"), Decimal(2)],
    "dates": [dt.date(2020, 1, 1)] * N,
    "scalars": pd.Series([pd.Timestamp("2020", tz="UTC"), pd.NaT, pd.NA, pd.Timedelta(1)]),
    "lists": [[1], {"a": (2,)}, {3}, frozenset({4})],
    "categories": pd.Categorical(["x", "y", "x", None], ["y", "x", "z"], ordered=True),
    "number categories": pd.Categorical([1, 2, 1, None], [2, 1]),
    "times": pd.date_range("2020", periods=N),
    "seconds": pd.date_range("2020", periods=N).as_unit("s"),
    "zoned": pd.date_range("2020-10-25", periods=N, freq="h", tz="Europe/Berlin"),
    "offset": pd.date_range("2020", periods=N, tz="+02:00"),
    "spans": pd.to_timedelta([1, 2, None, 3], unit="s"),
    "Int64": pd.array([1, None, 2**62, 4], dtype="Int64"),
    "boolean": pd.array([True, None, False, None], dtype="boolean"),
    "Float32": pd.array([1.5, None, 2, 3], dtype="Float32"),
    "arrow": pd.array([[1], [2, 3], None, []], dtype=pd.ArrowDtype(pa.list_(pa.int8()))),
    "periods": pd.period_range("2020", periods=N, freq="M"),
    "intervals": pd.interval_range(0, N, closed="left"),
}
INDEXES: dict[str, Any] = {
    "text": pd.Index(list("abcd"), name=("x", 1)),
    "many levels": pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["q", None]),
    "times": pd.date_range("2020", periods=N, freq="D", tz="UTC"),
    "range": pd.RangeIndex(3, 11, 2, name="r"),
    "categories": pd.CategoricalIndex(list("abca")),
    "mixed": pd.Index([1, "a", None, 2.5]),
    "twice": pd.Index(["a", "a", "b", "b"], dtype=object),
    "periods": pd.period_range("2020", periods=N, freq="D"),
    "intervals": pd.interval_range(0, N),
    "spans": pd.timedelta_range("1s", periods=N, freq="s"),
    "floats": pd.Index([1.5, 2, np.nan, 4]),
}


def round_trip(value: Any) -> Any:
    return ExactSerializer().loads(ExactSerializer().dumps(value))


@pytest.mark.parametrize("name", COLUMNS)
def test_a_pandas_column_of_any_type_comes_back_the_same(name: str) -> None:
    frame = pd.DataFrame({name: COLUMNS[name]})
    back = round_trip(frame)
    pd.testing.assert_frame_equal(back, frame)
    assert back[name].dtype == frame[name].dtype
    assert [*map(type, back[name])] == [*map(type, frame[name])]
    pd.testing.assert_series_equal(round_trip(frame[name]), frame[name])


@pytest.mark.parametrize("name", INDEXES)
def test_a_pandas_index_of_any_type_comes_back_the_same(name: str) -> None:
    index = INDEXES[name]
    frame = pd.DataFrame(
        {"a": range(N), "o": pd.Series(["t"] * N, dtype=object).array}, index=index
    )
    back = round_trip(frame)
    pd.testing.assert_frame_equal(back, frame, check_freq=True)
    assert type(back.index) is type(index)
    assert back.index.equals(index)
    assert round_trip(index).identical(index)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame(index=["a"]),
        pd.DataFrame(columns=["a"]),
        pd.DataFrame({"a": []}),
        pd.DataFrame([[1, 2, 3]], columns=["a", "a", 1]),
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", None)])),
        pd.DataFrame([[1, 2]], columns=pd.Index([pd.Timestamp("2020"), 1.5], dtype=object)),
        pd.DataFrame({"a": range(20_000), "b": ["x"] * 20_000}),
        pd.DataFrame({"a": range(9)})[::2],
    ],
    ids=range(9),
)
def test_pandas_names_and_shapes_come_back_the_same(frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(round_trip(frame), frame)


def test_pandas_attributes_come_back_and_the_frame_can_be_written_to() -> None:
    frame = pd.DataFrame(COLUMNS)
    frame.attrs = {"source": ("file", 1)}
    long = pd.concat([frame[["integers", "text"]]] * 5_000, ignore_index=True)
    for each in (frame, long):
        back = round_trip(each)
        back.loc[0, "integers"] = 9
        back.loc[0, "text"] = "z"
        assert back.loc[0, "integers"] == 9
    assert round_trip(frame).attrs == frame.attrs
    unique = frame.set_flags(allows_duplicate_labels=False)
    assert not round_trip(unique).flags.allows_duplicate_labels


POLARS = pl.DataFrame(
    {
        "categorical": pl.Series(["a", "b"], dtype=pl.Categorical),
        "enum": pl.Series(["x", "y"], dtype=pl.Enum(["x", "y", "z"])),
        "decimal": pl.Series([Decimal("1.23"), None], dtype=pl.Decimal(20, 2)),
        "duration": pl.Series([dt.timedelta(1), None], dtype=pl.Duration("ms")),
        "lists": [[1], [2, None]],
        "structs": [{"a": 1, "b": "x"}, {"a": None, "b": "y"}],
        "null": [None, None],
        "bytes": [b"x", None],
        "time": pl.Series([dt.time(1), None]),
        "wide": pl.Series([2**100, 2], dtype=pl.Int128),
        "array": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)),
        "zoned": pl.Series([NAIVE] * 2).dt.replace_time_zone("Asia/Tokyo"),
        "small": pl.Series([1, 2], dtype=pl.UInt8),
    }
)


def test_polars_frames_of_every_type_come_back_the_same() -> None:
    for frame in (POLARS, POLARS.clear(), POLARS.head(1), pl.DataFrame()):
        back = round_trip(frame)
        assert back.schema == frame.schema
        assert back.equals(frame)
    for column in POLARS:
        assert round_trip(column).dtype == column.dtype
        assert round_trip(column).equals(column)


def test_a_lazy_frame_is_computed_and_comes_back_lazy() -> None:
    back = round_trip(POLARS.lazy())
    assert isinstance(back, pl.LazyFrame)
    assert back.collect().equals(POLARS)


TABLE = pa.table(
    {
        "chunks": pa.chunked_array([[1], [2, 3]]),
        "dictionaries": pa.chunked_array(
            [pa.array(["a"]).dictionary_encode(), pa.array(["b", "c"]).dictionary_encode()]
        ),
        "null": pa.array([None] * 3, pa.null()),
        "decimal": pa.array([Decimal("1.5"), None, Decimal(2)], pa.decimal256(50, 3)),
        "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int8())),
        "view": pa.array(["a", None, "c"], pa.string_view()),
        "span": pa.array([(1, 2, 3), None, (4, 5, 6)], pa.month_day_nano_interval()),
    }
).replace_schema_metadata({b"made by": b"somebody"})


@pytest.mark.parametrize(
    "value",
    [
        TABLE,
        TABLE.slice(1, 1),
        TABLE.schema.empty_table(),
        TABLE.schema,
        TABLE.to_batches()[0],
        TABLE["chunks"],
        pa.array([1, 2, 3]).slice(1),
        pa.array([], pa.string()),
    ],
    ids=range(8),
)
def test_arrow_values_come_back_the_same(value: Any) -> None:
    back = round_trip(value)
    assert type(back) is type(value)
    assert back.equals(value)
    if isinstance(value, pa.Table | pa.RecordBatch):
        assert back.schema.equals(value.schema, check_metadata=True)


def test_a_slice_takes_the_space_of_its_rows() -> None:
    table = pa.table({"a": np.random.default_rng(0).random(100_000)})
    assert len(ExactSerializer().dumps(table.slice(10, 10))) < 2_000


def test_narwhals_frames_come_back_as_they_were() -> None:
    frame = nw.from_native(POLARS)
    assert type(round_trip(frame)) is type(frame)
    assert round_trip(frame).to_native().equals(POLARS)
    assert isinstance(round_trip(nw.from_native(POLARS.lazy())), nw.LazyFrame)


@dataclass(frozen=True)
class Loaded:
    frame: pd.DataFrame
    rows: int
    note: str | None = None


class Colour(Enum):
    RED = 1


class Bits(Flag):
    ONE = 1
    TWO = 2


class Pair(NamedTuple):
    left: Any
    right: Any


class Model(pydantic.BaseModel):
    name: str
    when: dt.date | None = None


VALUES: list[Any] = [
    *(None, True, 0, -(2**63), 2**70, -(2**900), 1.5, -0.0, 1e-300, math.inf, 1 + 2j),
    *("", "é\ud800", "\0", b"", b"\xff", bytearray(b"x")),
    *((), (1, [2, {"a": {1, 2}}]), {1: 2, (1, 2): 3}, {"t": "dict", "v": 1}, {True: 1, None: 2}),
    *(frozenset({1}), range(1, 9, 2), slice(1, None), ..., Decimal("1.10"), Fraction(1, 3)),
    *(NAIVE.replace(fold=1), dt.time(1, 2, 3, 4), dt.date.max),
    *(dt.datetime(2020, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), dt.timedelta(-1, 3, 5)),
    *(dt.UTC, dt.timezone(dt.timedelta(hours=2)), dt.timezone(dt.timedelta(0), "x")),
    *(UUID(int=7), Path("a/b"), Colour.RED, Pair(1, [2]), Model(name="n"), Bits.ONE),
    *(np.float32(1.5), np.int8(3), np.datetime64("2020"), np.str_("abc"), np.bool_(True)),
    *(pd.NA, pd.NaT, pd.Timestamp("2020").as_unit("s"), pd.Timedelta("1s"), pd.Period("2020-01")),
    *(pd.Timestamp("2020-10-25 01:30", tz="UTC").tz_convert("Europe/Berlin"), pd.Interval(1, 2)),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:40])
def test_a_plain_value_comes_back_by_exact_type(value: Any) -> None:
    back = round_trip(value)
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_containers_of_frames_come_back_the_same() -> None:
    value = {"good": Loaded(pd.DataFrame(COLUMNS), 4), "parts": [POLARS, (TABLE, np.arange(3))]}
    back = round_trip(value)
    pd.testing.assert_frame_equal(back["good"].frame, value["good"].frame)
    assert type(back["good"]) is Loaded
    assert back["parts"][0].equals(POLARS)
    assert back["parts"][1][0].equals(TABLE)
    assert type(back["parts"][1]) is tuple


def test_arrays_of_any_shape_come_back_the_same_and_can_be_written_to() -> None:
    arrays: list[Any] = [
        *(np.zeros((0, 3)), np.array(5.0), np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        *(np.array(["a", "bc"]), np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])),
        *(np.arange(4, dtype=">i4"), np.arange(10)[::2], np.array(["2020"], dtype="M8[D]")),
    ]
    for array in arrays:
        back = round_trip(array)
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        assert back.flags.writeable
        np.testing.assert_array_equal(back, array)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.decimals()
    | st.timedeltas()
    | st.datetimes()
    | st.uuids()
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.tuples(inner, inner)
    ),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=200)
@given(plain)
def test_any_plain_value_comes_back_the_same(value: Any) -> None:
    assert repr(round_trip(value)) == repr(value)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(st.lists(st.none() | st.text() | st.integers() | st.floats() | st.binary(), max_size=9))
def test_any_object_column_comes_back_the_same(values: list[Any]) -> None:
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    assert repr(round_trip(frame)["a"].tolist()) == repr(values)


def itself() -> list[Any]:
    value: list[Any] = []
    value.append({"again": value})
    return value


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), "it is a builtins.object"),
        ({"a": [1, object()]}, "`result['a'][1]` is a builtins.object"),
        ({object(): 1}, "is a builtins.object"),
        (pd.DataFrame({"z": [1, object()]}), "`result['z'][1]` is a builtins.object"),
        (Loaded(pd.DataFrame({"z": pd.arrays.SparseArray([0])}), 1), "`result.frame['z']`"),
        ((pl.DataFrame({"o": pl.Series([object()])}),), "`result[0]['o']`"),
        (itself(), "`result[0]['again']` is a builtins.list: it contains itself"),
        (Text("a"), "test_exact.Text"),
        (lambda: 1, "builtins.function"),
        (Bits.ONE | Bits.TWO, "no name"),
        (type("Local", (pd.DataFrame,), {})({"a": [1]}), "Local"),
        (iter([1]), "list_iterator"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_what_has_no_exact_form_is_refused_and_named(value: Any, told: str) -> None:
    with pytest.raises(NoExactFormError) as refused:
        ExactSerializer().dumps(value)
    assert told in refused.value.message
    assert 'result_serializer="pickle"' in str(refused.value.hint)


def test_a_class_that_others_cannot_find_is_refused() -> None:
    @dataclass
    class Local:
        a: int

    with pytest.raises(NoExactFormError, match="whose class other processes cannot find"):
        ExactSerializer().dumps(Local(1))


def test_values_nested_too_deep_are_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(NoExactFormError, match="nested too deep"):
        ExactSerializer().dumps(value)


def written(value: Any) -> bytes:
    file = io.BytesIO()
    write_value(file, value, {})
    return file.getvalue()


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_no_damage_goes_unseen(data: st.DataObject) -> None:
    content = bytearray(written({"frame": POLARS, "note": "text"}))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    try:
        back = read_value(MemoryContent(bytes(content)))
    except DamagedError:
        return
    assert back["frame"].equals(POLARS)  # a byte between two sections
    assert back["note"] == "text"


class Evil:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (RAN.append, ("unpickled",))


RAN: list[str] = []


def test_nothing_is_unpickled_unless_the_reader_says_so() -> None:
    from prefect.serializers import PickleSerializer

    file = io.BytesIO()
    write_value(file, Evil(), {}, PickleSerializer())
    with pytest.raises(LookupError):
        read_value(MemoryContent(file.getvalue()))
    assert RAN == []


def test_a_file_imports_no_module() -> None:
    import sys

    file = io.BytesIO()
    write_value(file, Pair(1, 2), {})
    content = MemoryContent(file.getvalue())
    tree = content.footer.tree | {"class": "antigravity:geohash"}
    from prefect_etl.orchestration.caching.exact import Decoder

    with pytest.raises(LookupError, match="not imported here"):
        Decoder(content).decode(tree)
    assert "antigravity" not in sys.modules
