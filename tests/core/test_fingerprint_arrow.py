"""The keys of Arrow data: whatever its layout, and only for its content and types."""

from __future__ import annotations

import math
import tracemalloc
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_etl.core.fingerprint import FingerprintError, fingerprint
from prefect_etl.core.fingerprint.encoding import WINDOW

LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FEW = st.integers(0, 2)
TEXT = st.text(st.sampled_from("aé\0"), max_size=3)
BYTES = st.binary(max_size=3)
FLOATS = st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf])
DECIMALS = st.integers(-9, 9).map(lambda n: Decimal(n).scaleb(-1))

FLAT = {
    pa.null(): st.none(),
    pa.bool_(): st.booleans(),
    **dict.fromkeys([pa.int8(), pa.int16(), pa.int32(), pa.int64()], st.integers(-3, 3)),
    **dict.fromkeys([pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()], FEW),
    pa.float16(): FLOATS.map(np.float16),
    pa.float32(): FLOATS,
    pa.float64(): FLOATS,
    **dict.fromkeys([pa.string(), pa.large_string(), pa.string_view()], TEXT),
    **dict.fromkeys([pa.binary(), pa.large_binary(), pa.binary_view()], BYTES),
    pa.binary(2): st.binary(min_size=2, max_size=2),
    pa.binary(0): st.just(b""),
    **dict.fromkeys([pa.date32(), pa.timestamp("s"), pa.timestamp("us", "UTC")], FEW),
    pa.timestamp("ns", "Europe/Berlin"): FEW,
    **dict.fromkeys([pa.time32("s"), pa.time64("ns"), pa.duration("ms")], FEW),
    pa.date64(): FEW.map(lambda n: n * 86_400_000),
    **dict.fromkeys([pa.decimal32(5, 1), pa.decimal64(9, 1)], DECIMALS),
    **dict.fromkeys([pa.decimal128(20, 1), pa.decimal256(50, 1)], DECIMALS),
    pa.month_day_nano_interval(): st.tuples(FEW, FEW, FEW).map(pa.MonthDayNano),
}
FLAT_TYPES = st.sampled_from(list(FLAT))
NAMES = st.sampled_from(["a", "b", "a: int8, b"])
TYPES = st.recursive(
    FLAT_TYPES,
    lambda inner: st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(pa.list_view),
        inner.map(pa.large_list_view),
        inner.map(lambda kind: pa.list_(kind, 2)),
        st.dictionaries(NAMES, inner, max_size=2).map(lambda fields: pa.struct([*fields.items()])),
        inner.map(lambda kind: pa.map_(pa.string(), kind)),
    ),
    max_leaves=3,
)


def values_of(kind: pa.DataType, *, nulls: bool = True) -> st.SearchStrategy[Any]:
    values = _values_of(kind)
    return st.none() | values if nulls and not pa.types.is_null(kind) else values


def _values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if kind in FLAT:
        return FLAT[kind]
    if pa.types.is_map(kind):
        return st.lists(st.tuples(TEXT, values_of(kind.item_type)), max_size=2)
    if pa.types.is_struct(kind):
        return st.fixed_dictionaries({field.name: values_of(field.type) for field in kind})
    if pa.types.is_fixed_size_list(kind):
        return st.lists(values_of(kind.value_type), min_size=2, max_size=2)
    return st.lists(values_of(kind.value_type), max_size=3)


COLUMNS = TYPES.flatmap(
    lambda kind: st.tuples(st.just(kind), st.lists(values_of(kind), max_size=9))
)


@LAW
@given(COLUMNS, st.data())
def test_chunks_and_slices_do_not_matter(column, data):
    kind, values = column
    whole = pa.chunked_array([pa.array(values, kind)])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    parts = [values[a:b] for a, b in zip([0, *cuts], [*cuts, len(values)], strict=True)]
    chunks = []
    for part in parts:
        before, after = data.draw(st.tuples(st.integers(0, 9), st.integers(0, 2)))
        padding = values or [None]
        padded = [*(padding * 9)[:before], *part, *(padding * 2)[:after]]
        chunks.append(pa.array(padded, kind).slice(before, len(part)))
    assert fingerprint(pa.chunked_array(chunks, kind)) == fingerprint(whole)
    assert fingerprint(pa.array(values, kind)) == fingerprint(
        pa.array([*values, *values], kind).slice(len(values))
    )


def with_nulls(array: pa.Array, valid: list[bool]) -> pa.Array:
    """The array with nulls, under which its values still lie."""
    bits = pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    kind, buffers = array.type, array.buffers()
    if pa.types.is_struct(kind):
        children = [array.field(i) for i in range(kind.num_fields)]
        return pa.Array.from_buffers(kind, len(array), [bits], children=children)
    if pa.types.is_map(kind):
        entries = pa.StructArray.from_arrays(
            [array.keys, array.items], fields=[kind.key_field, kind.item_field]
        )
        return pa.Array.from_buffers(kind, len(array), [bits, buffers[1]], children=[entries])
    if kind.num_fields:
        own = 3 if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind) else 2
        own = 1 if pa.types.is_fixed_size_list(kind) else own
        return pa.Array.from_buffers(
            kind, len(array), [bits, *buffers[1:own]], children=[array.values]
        )
    return pa.Array.from_buffers(kind, len(array), [bits, *buffers[1:]])


FULL = TYPES.filter(lambda kind: kind != pa.null()).flatmap(
    lambda kind: st.tuples(
        st.just(kind), st.lists(values_of(kind, nulls=False), min_size=1, max_size=20), st.randoms()
    )
)


@LAW
@given(FULL)
def test_what_lies_under_nulls_does_not_matter(column):
    kind, values, random = column
    valid = [random.random() < 0.6 for _ in values]
    dirty = with_nulls(pa.array(values, kind), valid)
    clean = pa.array([v if ok else None for v, ok in zip(values, valid, strict=True)], kind)
    assert dirty.null_count == clean.null_count
    assert fingerprint(dirty) == fingerprint(clean)
    assert fingerprint(dirty[3:]) == fingerprint(clean[3:])
    all_valid = with_nulls(pa.array(values, kind), [True] * len(values))
    assert fingerprint(all_valid) == fingerprint(pa.array(values, kind))


@LAW
@given(COLUMNS, st.data())
def test_other_values_or_types_give_other_keys(column, data):
    kind, values = column
    other_kind, other = data.draw(
        st.one_of(COLUMNS, st.tuples(st.just(kind), st.lists(values_of(kind), max_size=9)))
    )
    one, two = pa.array(values, kind), pa.array(other, other_kind)
    same = kind == other_kind and exact(one) == exact(two)
    assert (fingerprint(one) == fingerprint(two)) == same
    names = data.draw(st.tuples(NAMES, NAMES))
    tables = pa.table({names[0]: one}), pa.table({names[1]: two})
    same_tables = same and names[0] == names[1]
    assert (fingerprint(tables[0]) == fingerprint(tables[1])) == same_tables


def exact(array: pa.Array) -> str:
    if pa.types.is_temporal(array.type) and not pa.types.is_interval(array.type):
        array = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
    return repr(array.to_pylist())


@settings(LAW, max_examples=30)
@given(COLUMNS)
def test_a_round_trip_through_ipc_keeps_the_key(column):
    kind, values = column
    table = pa.table({"a": pa.array(values, kind)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    back = pa.ipc.open_stream(sink.getvalue()).read_all()
    assert fingerprint(back) == fingerprint(table)


SIZES = [0, 1, 7, 8, 9, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW + 13]


@pytest.mark.parametrize("rows", SIZES)
def test_windows_do_not_matter(rows):
    rng = np.random.default_rng(rows)
    mask = rng.random(rows) < 0.1
    numbers = pa.array(rng.integers(0, 9, rows), mask=mask)
    columns = {
        "i": numbers,
        "f": pa.array(np.where(rng.random(rows) < 0.01, np.nan, 1.0), mask=mask),
        "b": pa.array(rng.random(rows) < 0.5, mask=mask),
        "s": numbers.cast(pa.string()),
        "v": numbers.cast(pa.string()).cast(pa.string_view()),
        "d": numbers.cast(pa.string()).dictionary_encode(),
        "l": pa.array([[n, n] for n in range(rows)], pa.list_(pa.int32())),
        "t": pa.StructArray.from_arrays([numbers], ["x"]),
        "n": pa.nulls(rows),
        "r": pa.compute.run_end_encode(numbers),
    }
    table = pa.table(columns)
    key = fingerprint(table)
    odd = pa.concat_tables([table.slice(0, rows // 3), table.slice(rows // 3)])
    assert fingerprint(odd) == key
    behind = pa.concat_tables([table.slice(0, 5), table]).combine_chunks().slice(min(5, rows))
    assert fingerprint(behind) == key
    if rows:
        assert fingerprint(table.slice(1)) != key
        for name in columns:
            if name != "n":
                changed = table[name].to_pylist()
                changed[-1] = None if changed[-1] is not None else changed[0]
                if changed[-1] is not None or rows == 1 or table[name][-1].as_py() is not None:
                    column = pa.array(changed, table[name].type)
                    other = table.set_column(table.schema.get_field_index(name), name, column)
                    assert (fingerprint(other) == key) == (changed == table[name].to_pylist())


def test_a_slice_is_not_its_whole():
    # Elsewhere, tokens of zero-copy slices ignored offset and length.
    table = pa.table({"a": [1, 2, 3, 4]})
    keys = {fingerprint(table.slice(n, 2)) for n in range(3)}
    assert len(keys) == 3
    assert fingerprint(table) not in keys


def test_one_window_of_nulls_more_is_another_column():
    keys = [fingerprint(pa.array([None] * n, pa.int64())) for n in range(20)]
    assert len(set(keys)) == 20


def test_zero_columns_have_rows():
    table = pa.table({"a": [1, 2]})
    assert fingerprint(table.select([])) == fingerprint(pa.table({"b": ["x", "y"]}).select([]))
    assert fingerprint(table.select([])) != fingerprint(table.slice(1).select([]))


def test_columns_of_one_name_are_told_apart_by_place():
    one, two = pa.array([1]), pa.array([2])
    tables = [pa.table([a, b], names=["a", "a"]) for a, b in ((one, two), (two, one))]
    assert fingerprint(tables[0]) != fingerprint(tables[1])


def test_names_and_order_of_columns_matter():
    columns = {"a": [1], "b": [1]}
    keys = {
        fingerprint(pa.table(columns)),
        fingerprint(pa.table({"b": [1], "a": [1]})),
        fingerprint(pa.table({"a": [1], "c": [1]})),
        fingerprint(pa.table({"a": [1]})),
    }
    assert len(keys) == 4


def test_the_schema_is_arrows_without_metadata():
    def key(*fields: pa.Field) -> str:
        return fingerprint(pa.table([pa.array([1], fields[0].type)], pa.schema(fields)))

    assert key(pa.field("a", pa.int64())) == key(pa.field("a", pa.int64(), metadata={"x": "y"}))
    assert key(pa.field("a", pa.int64())) != key(pa.field("a", pa.int64(), nullable=False))
    assert fingerprint(pa.list_(pa.field("item", pa.int8()))) == fingerprint(
        pa.list_(pa.field("element", pa.int8()))
    )


def test_a_null_struct_is_no_struct_of_nulls():
    kind = pa.struct([("a", pa.int64())])
    assert fingerprint(pa.array([None], kind)) != fingerprint(pa.array([{"a": None}], kind))
    lists = pa.list_(pa.int64())
    assert fingerprint(pa.array([None], lists)) != fingerprint(pa.array([[]], lists))
    assert fingerprint(pa.array([[None]], lists)) != fingerprint(pa.array([[]], lists))


def test_nan_is_not_null_and_all_nan_are_one():
    nans = np.array([0x7FF8000000000000, 0x7FF0000000000001, 0xFFF8000000000123], np.uint64)
    keys = {fingerprint(pa.array(nans[i : i + 1].view(float))) for i in range(3)}
    assert len(keys) == 1
    assert fingerprint(pa.array([None], pa.float64())) not in keys


@pytest.mark.parametrize("ordered", [False, True])
def test_a_dictionary_is_an_encoding_of_its_values(ordered):
    def made(codes: list[int | None], values: list[str | None]) -> pa.Array:
        codes_ = pa.array(codes, pa.int8())
        return pa.DictionaryArray.from_arrays(codes_, pa.array(values), ordered=ordered)

    one = made([0, 1, None, 0], ["a", "b"])
    assert fingerprint(one[:3]) == fingerprint(made([0, 1, None], ["a", "b"]))
    assert (fingerprint(one) == fingerprint(made([1, 0, None, 1], ["b", "a"]))) is not ordered
    assert (fingerprint(one) == fingerprint(made([0, 1, None, 0], ["a", "b", "c"]))) is not ordered
    assert fingerprint(one) != fingerprint(made([1, 0, None, 1], ["a", "b"]))
    with_null = made([0, 1, 2, 0], ["a", "b", None])
    assert (fingerprint(one) == fingerprint(with_null)) is not ordered


def test_chunks_with_dictionaries_of_their_own_are_one_column():
    parts = [pa.array(part).dictionary_encode() for part in (["a", "b"], ["b", "c"], [])]
    whole = pa.chunked_array([pa.array(["a", "b", "b", "c"]).dictionary_encode()])
    assert fingerprint(pa.chunked_array(parts[:2])) == fingerprint(whole)
    nested = pa.chunked_array([pa.StructArray.from_arrays([part], ["x"]) for part in parts[:2]])
    assert fingerprint(nested) == fingerprint(
        pa.chunked_array([pa.StructArray.from_arrays([whole.chunk(0)], ["x"])])
    )


@pytest.mark.parametrize("kind", [pa.string(), pa.string_view(), pa.list_(pa.int8())])
def test_dictionaries_runs_and_unions_hold_any_type(kind):
    values = pa.array(["a", "b"] if kind != pa.list_(pa.int8()) else [[1], [2, 3]], kind)
    dictionary = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), values)
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), values)
    codes, offsets = pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32())
    dense = pa.UnionArray.from_dense(codes, offsets, [values, pa.array([7])])
    for array in (dictionary, runs, dense):
        keys = {fingerprint(array[start:stop]) for start in range(3) for stop in range(start, 4)}
        assert len(keys) >= 6
        assert fingerprint(pa.chunked_array([array[:1], array[1:]])) == fingerprint(
            pa.chunked_array([array])
        )


def test_unions_are_keyed_by_what_each_row_has():
    codes = pa.array([0, 1, 0], pa.int8())

    def sparse(*rest: int) -> pa.Array:
        children = [pa.array([1, rest[0], 3]), pa.array(["x", "b", "y"])]
        return pa.UnionArray.from_sparse(codes, children)

    assert fingerprint(sparse(5)) == fingerprint(sparse(6))  # the other kind's row is not seen
    assert fingerprint(sparse(5)[1:]) == fingerprint(sparse(6)[1:])
    other = pa.UnionArray.from_sparse(codes, [pa.array([1, 5, 4]), pa.array(["x", "b", "y"])])
    assert fingerprint(other) != fingerprint(sparse(5))


def test_run_ends_do_not_matter():
    def runs(ends: list[int], values: list[Any]) -> pa.Array:
        return pa.RunEndEncodedArray.from_arrays(pa.array(ends, pa.int32()), pa.array(values))

    one = runs([2, 4], ["a", None])
    assert fingerprint(one) == fingerprint(runs([1, 2, 3, 4], ["a", "a", None, None]))
    assert fingerprint(one) == fingerprint(runs([1, 3, 5], ["z", "a", None])[1:])
    assert fingerprint(one) != fingerprint(runs([1, 4], ["a", None]))


def test_extension_types_are_types_of_their_own():
    storage = pa.array([b"0123456789abcdef"], pa.binary(16))
    uuid = storage.cast(pa.uuid())
    assert fingerprint(uuid) == fingerprint(storage.cast(pa.uuid()))
    assert fingerprint(uuid) != fingerprint(storage)
    tensors = [
        pa.fixed_shape_tensor(pa.int8(), [2, 2], dim_names=names) for names in (None, ["a", "b"])
    ]
    assert fingerprint(tensors[0]) != fingerprint(tensors[1])


def test_kinds_of_container_differ():
    array = pa.array([1])
    values = [
        array,
        pa.chunked_array([array]),
        pa.table({"a": array}),
        pa.record_batch({"a": array}),
        array[0],
        array.type,
        pa.field("a", array.type),
        pa.schema({"a": array.type}),
        pa.py_buffer(b"1"),
        [1],
    ]
    assert len({fingerprint(value) for value in values}) == len(values)


@settings(LAW, max_examples=50)
@given(COLUMNS)
def test_a_scalar_has_a_key(column):
    kind, values = column
    array = pa.array(values, kind)
    for i in range(min(len(array), 2)):
        assert fingerprint(array[i]) == fingerprint(pa.array([*values, None], kind)[i])


def test_a_reader_is_refused_and_not_read():
    table = pa.table({"a": [1]})
    reader = table.to_reader()
    with pytest.raises(FingerprintError, match="RecordBatchReader"):
        fingerprint(reader)
    assert reader.read_all() == table


def test_nothing_large_is_copied():
    rows = 1_000_000
    missing = np.arange(rows) % 10 == 0
    numbers = pa.array(np.arange(rows), mask=missing)
    columns = {
        "i": numbers,
        "f": numbers.cast(pa.float64()),
        "s": numbers.cast(pa.string()),
        "v": numbers.cast(pa.string()).cast(pa.string_view()),
        "b": pa.array(missing, mask=missing),
        "t": pa.StructArray.from_arrays([numbers], ["x"], mask=pa.array(missing)),
        "d": numbers.dictionary_encode(),
    }
    table = pa.table(columns)
    fingerprint(table.slice(0, 1))  # imports
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        fingerprint(table)
        copied = tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
    assert copied < table.nbytes / 10
