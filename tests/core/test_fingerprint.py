"""The keys of plain values: by exact type and content, in every process the same."""

from __future__ import annotations

import array
import collections
import copy
import enum
import fractions
import functools
import operator
import os
import pickle
import re
import subprocess
import sys
import types
import uuid
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_etl.core.fingerprint import FingerprintError, fingerprint
from prefect_etl.errors import ConfigError

LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAN = float("nan")


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Level(enum.IntEnum):
    LOW = 1


class Flags(enum.Flag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: int
    y: int


class Pair(NamedTuple):
    x: int
    y: int


@dataclass
class Order:
    number: int
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Line:
    number: int


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int = 1
    _hidden: int = pydantic.PrivateAttr(default=0)


class Other(Model):
    pass


class UserId(int):
    pass


class Tagged(str):
    __slots__ = ("tag",)


class Moment(datetime):
    pass


def double(x: int, by: int = 2) -> int:
    return x * by


def triple(x: int, by: int = 3) -> int:
    return x * by


def adder(n: int) -> Any:
    return lambda x: x + n


def recursive() -> Any:
    def fact(n: int) -> int:
        return 1 if n < 2 else n * fact(n - 1)

    return fact


def hidden(number: int) -> Model:
    model = Model()
    model._hidden = number
    return model


def tagged(text: str, tag: int) -> Tagged:
    value = Tagged(text)
    value.tag = tag
    return value


DISTINCT = [
    None,
    ...,
    NotImplemented,
    False,
    True,
    0,
    1,
    -1,
    255,
    -256,
    2**63,
    2**64,
    -(2**200),
    0.0,
    -0.0,
    1.0,
    NAN,
    float("inf"),
    1e308,
    0j,
    1 + 0j,
    complex(0, NAN),
    "",
    "1",
    "True",
    "None",
    "é",
    "e\u0301",
    "\ud800",
    "\0",
    b"",
    b"1",
    bytearray(b"1"),
    Decimal(1),
    Decimal("1.0"),
    Decimal("1E+1"),
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("-0"),
    fractions.Fraction(1),
    fractions.Fraction(1, 3),
    date(2024, 1, 1),
    datetime(2024, 1, 1),  # noqa: DTZ001
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2024, 1, 1, microsecond=1),  # noqa: DTZ001
    Moment(2024, 1, 1),
    time(1),
    time(1, tzinfo=UTC),
    time(1, microsecond=1),
    timedelta(1),
    timedelta(-1),
    timedelta(microseconds=1),
    UTC,
    timezone(timedelta(hours=1)),
    ZoneInfo("Europe/Berlin"),
    uuid.UUID(int=1),
    uuid.UUID(int=2),
    PurePosixPath("a"),
    PureWindowsPath("a"),
    PurePosixPath("a/b"),
    Path("a/b"),
    Colour.RED,
    Colour.GREEN,
    Level.LOW,
    Flags.A,
    Flags.A | Flags.B,
    [],
    [None],
    [[]],
    [1],
    [1.0],
    [True],
    ["1"],
    [b"1"],
    [2**70],
    [NAN],
    [0.0],
    [-0.0],
    [1, 2],
    [2, 1],
    [1, "1"],
    ["1", 1],
    [None, 1],
    [1, None],
    ["ab", "c"],
    ["a", "bc"],
    ["abc"],
    [["a"], ["b"]],
    [["a", "b"]],
    [["a", "b"], []],
    [[], ["a", "b"]],
    (),
    (1,),
    (1, 2),
    ((1,), 2),
    Point(1, 2),
    Pair(1, 2),
    deque([1, 2]),
    deque([1, 2], maxlen=2),
    array.array("i", [1, 2]),
    array.array("q", [1, 2]),
    set(),
    {1},
    {1.0},
    {1, 2},
    frozenset({1, 2}),
    {"a", "b"},
    {},
    {1: "a"},
    {"1": "a"},
    {1: None},
    {"a": 1, "b": 2},
    {"a": 2, "b": 1},
    {"a": {"b": 1}},
    {"a": {}, "b": 1},
    OrderedDict(a=1, b=2),
    OrderedDict(b=2, a=1),
    defaultdict(int, a=1, b=2),
    defaultdict(list, a=1, b=2),
    collections.Counter("ab"),
    types.MappingProxyType({"a": 1, "b": 2}),
    types.SimpleNamespace(a=1, b=2),
    range(0),
    range(2),
    range(0, 2, 2),
    slice(1),
    slice(1, 2),
    re.compile("a"),
    re.compile(b"a"),
    re.compile("a", re.IGNORECASE),
    Order(1),
    Order(1, ["a"]),
    Line(1),
    Model(),
    Model(a=2),
    Model(b=1),
    hidden(1),
    Other(),
    pydantic.SecretStr("a"),
    pydantic.SecretStr("b"),
    UserId(1),
    Tagged("1"),
    tagged("1", 1),
    tagged("1", 2),
    int,
    bool,
    Model,
    len,
    operator.add,
    double,
    triple,
    adder(1),
    adder(2),
    lambda x: x,
    lambda x: -x,
    lambda *x: x,
    recursive(),
    functools.partial(double, 1),
    functools.partial(double, by=1),
    [].append,
    [1].append,
    "a".upper,
    Model().model_dump,
    functools.lru_cache,
]


def test_every_two_of_these_differ():
    seen: dict[str, Any] = {}
    for value in DISTINCT:
        key = fingerprint(value)
        assert key not in seen, f"{value!r} has the key of {seen[key]!r}"
        seen[key] = value


@pytest.mark.parametrize("value", [v for v in DISTINCT if not callable(v)])
def test_a_copy_has_the_same_key(value):
    if value in (..., NotImplemented) or isinstance(value, types.MappingProxyType):
        return
    assert fingerprint(copy.deepcopy(value)) == fingerprint(value)
    assert fingerprint(pickle.loads(pickle.dumps(value))) == fingerprint(value)


def test_functions_made_anew_have_the_same_key():
    assert fingerprint(adder(1)) == fingerprint(adder(1))
    assert fingerprint(recursive()) == fingerprint(recursive())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({3, 1, 2}, {1, 2, 3}),
        (range(0), range(5, 5, 3)),
        (range(0, 3, 2), range(0, 4, 2)),
        (float("nan"), -float("nan")),
        ([float("nan"), 1.0], [-float("nan"), 1.0]),
        (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC"))),
        (Path("a//b"), Path("a/b")),
    ],
    ids=repr,
)
def test_equal_content_has_one_key(one, other):
    assert fingerprint(one) == fingerprint(other)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.binary(max_size=3)
    | st.dates()
    | st.decimals(places=1, allow_nan=False)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2) | st.integers(0, 3), inner, max_size=3)
    ),
    max_leaves=8,
)


@LAW
@given(VALUES, VALUES)
def test_keys_are_equal_where_type_and_content_are(one, other):
    assert (fingerprint(one) == fingerprint(other)) == (exact(one) == exact(other))
    assert fingerprint(copy.deepcopy(one)) == fingerprint(one)


def exact(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{sorted((exact(k), exact(v)) for k, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}{[exact(item) for item in value]}"
    return f"{type(value).__name__}:{value!r}"


@LAW
@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_what_is_in_one_item_never_moves_to_the_next(one, other):
    for wrap in (list, tuple, frozenset, lambda x: dict(enumerate(x)), lambda x: [x, 1]):
        same = wrap(one) == wrap(other)
        assert (fingerprint(wrap(one)) == fingerprint(wrap(other))) == same


@LAW
@given(st.lists(st.integers(0, 9) | st.text(max_size=1) | st.none() | st.lists(st.none())))
def test_groups_by_type_keep_the_order(items):
    for other in (items[::-1], [*items, None], items[1:]):
        same = exact(items) == exact(other)
        assert (fingerprint(items) == fingerprint(other)) == same


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (object(), "args is an object"),
        ([1, object()], r"args\[1\] is an object"),
        ([1, "a", object()], r"args\[2\] is an object"),
        ({"model": object()}, r"args\['model'\] is an object"),
        ([{"a": (1, {"b": object()})}], r"args\[0\]\['a'\]\[1\]\['b'\] is an object"),
        (Order(1, [object()]), r"args\.lines\[0\] is an object"),
        (Model(b=object()), r"args\.b is an object"),
        (functools.partial(double, object()), r"args\.args\[0\] is an object"),
        ((x for x in ()), "args is a generator"),
        (iter([]), "args is a list_iterator"),
        (open, None),
        (memoryview(b"a"), "args is a memoryview"),
        (list[int], "args is a types.GenericAlias|args is a"),
    ],
)
def test_what_has_no_exact_content_is_refused_with_its_place(value, place):
    if place is None:
        assert fingerprint(value)
        return
    with pytest.raises(FingerprintError, match=place) as caught:
        fingerprint(value, name="args")
    assert isinstance(caught.value, ConfigError)
    assert caught.value.hint


def test_a_class_that_others_cannot_import_is_refused():
    class Local:
        pass

    with pytest.raises(FingerprintError, match="cannot be imported by that name"):
        fingerprint(Local)


def test_what_contains_itself_is_refused():
    items: list[Any] = [1]
    items.append({"again": items})
    with pytest.raises(
        FingerprintError, match=r"value\[1\]\['again'\] is a list that contains itself"
    ):
        fingerprint(items)


def test_what_is_met_twice_is_no_cycle():
    shared = [1]
    assert fingerprint([shared, shared]) == fingerprint([[1], [1]])


def test_what_is_nested_too_deeply_is_refused():
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(FingerprintError, match="nested too deeply"):
        fingerprint(value)


def test_a_key_is_a_version_and_32_digits():
    assert re.fullmatch(r"f1-[0-9a-f]{32}", fingerprint("a"))


def test_a_secret_is_in_no_error():
    with pytest.raises(FingerprintError) as caught:
        fingerprint([pydantic.SecretStr("hunter2"), object()])
    assert "hunter2" not in str(caught.value)


PROGRAM = """
import sys
from datetime import date
from prefect_etl.core.fingerprint import fingerprint
value = {"a": {1, 2, "x", "y"}, "b": [1.5, None, date(2024, 1, 1)], "c": {"d": b"x", 3: (True,)}}
print(fingerprint(value))
assert not {"numpy", "pandas", "polars", "pyarrow", "narwhals", "xxhash"} & set(sys.modules)
import numpy as np, pandas as pd, polars as pl, pyarrow as pa
data = {"a": [1, 2, None], "b": ["x", None, "z"], "c": [0.5, -0.0, float("nan")]}
schema = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.float64())])
print(fingerprint(pa.table(data, schema=schema)))
print(fingerprint(pd.DataFrame(data)))
print(fingerprint(pl.DataFrame(data)))
print(fingerprint(lambda x: x in {x, "a", "b"}))
"""
# If one of these changes, the algorithm did: then key.VERSION has to change with it, for results
# that were kept under old keys must not be found under new ones.
GOLDEN = ["f1-ef694ea60d98f91f9d58e4a7b512c30d", "f1-f4e854c720f78643607ee1457d815ae0"]


def test_keys_are_the_same_in_every_process():
    found = []
    for seed in ("0", "1", "random"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.split())
    assert found[0] == found[1] == found[2]
    assert found[0][: len(GOLDEN)] == GOLDEN
