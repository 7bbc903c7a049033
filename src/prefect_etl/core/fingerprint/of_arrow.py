"""Arrow: types, and columns whatever their chunks, slices and the bytes under their nulls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from prefect_etl.core.fingerprint.encoding import Refused, leaf, node, size, text
from prefect_etl.core.fingerprint.streams import (
    Array,
    Bits,
    Fixed,
    Lengths,
    unpacked,
    windows,
    without_nulls,
)

_EXTENSION = (b"ARROW:extension:name", b"ARROW:extension:metadata")


class Column(Protocol):
    """The content of a column, fed in arrays of any length."""

    def feed(self, array: Any) -> None:
        """More rows, below those that were fed before."""

    def digest(self) -> bytes:
        """The digest of all rows."""


def arrow_schema(schema: Any) -> bytes:
    """The names and types of a schema, without its metadata."""
    return node("arrow.schema", *map(_field, schema))


def _field(field: Any) -> bytes:
    # An extension type that is not registered in this process is known by its metadata only.
    metadata = field.metadata or {}
    extension = [metadata.get(key, b"") for key in _EXTENSION]
    return node(
        "field", text(field.name), b"%d" % field.nullable, arrow_type(field.type), *extension
    )


def arrow_type(kind: Any) -> bytes:
    """A type, with all that its parameters say.

    Names of the items of lists and maps are left out, as in Arrow's own equality.
    """
    if isinstance(kind, pa.BaseExtensionType):
        storage = arrow_type(kind.storage_type)
        return node("extension", text(kind.extension_name), _serialized(kind), storage)
    if pa.types.is_dictionary(kind):
        both = (arrow_type(kind.index_type), arrow_type(kind.value_type))
        return node("dictionary", *both, b"%d" % kind.ordered)
    if pa.types.is_run_end_encoded(kind):
        return node("runs", arrow_type(kind.run_end_type), arrow_type(kind.value_type))
    if pa.types.is_struct(kind):
        return node("struct", *map(_field, kind))
    if pa.types.is_map(kind):
        items = b"%d" % kind.item_field.nullable + arrow_type(kind.item_type)
        return node("map", arrow_type(kind.key_type), items, b"%d" % kind.keys_sorted)
    if pa.types.is_union(kind):
        codes = bytes(code % 256 for code in kind.type_codes)
        fields = (_field(kind.field(i)) for i in range(kind.num_fields))
        return node("union", text(kind.mode), codes, *fields)
    if kind.num_fields == 1:
        length = str(kind.list_size) if pa.types.is_fixed_size_list(kind) else ""
        list_kind = text(str(kind).split("<", 1)[0] + length)
        return node(
            "list", list_kind, b"%d" % kind.value_field.nullable, arrow_type(kind.value_type)
        )
    return leaf("type", text(str(kind)))


def _serialized(kind: Any) -> bytes:
    serialize = getattr(kind, "__arrow_ext_serialize__", None)
    return serialize() if serialize is not None else text(str(kind))


def arrow_column(kind: Any, arrays: Iterable[Any]) -> bytes:
    """The digest of a column's content, without its type."""
    column = column_of(kind)
    for array in arrays:
        column.feed(array)
    return column.digest()


def column_of(kind: Any) -> Column:
    """What digests columns of a type."""
    for fits, make in _COLUMNS:
        if fits(kind):
            return make(kind)
    raise Refused(f"has the Arrow type {kind}, whose content is not known")


def _is_bytes(kind: Any) -> bool:
    types = pa.types
    return types.is_binary(kind) or types.is_string(kind) or _is_large_bytes(kind)


def _is_large_bytes(kind: Any) -> bool:
    return bool(pa.types.is_large_binary(kind) or pa.types.is_large_string(kind))


def _is_view(kind: Any) -> bool:
    return bool(pa.types.is_binary_view(kind) or pa.types.is_string_view(kind))


def _is_list(kind: Any) -> bool:
    types = pa.types
    views = types.is_list_view(kind) or types.is_large_list_view(kind)
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind) or views)


def _bitmap(array: Any) -> Array:
    return np.frombuffer(array.buffers()[0], np.uint8)


def _validity(bits: Bits, array: Any) -> None:
    if array.null_count:
        bits.packed(_bitmap(array), array.offset, len(array))
    else:
        bits.ones(len(array))


class _Nulls:
    def __init__(self, kind: Any) -> None:
        self._rows = 0

    def feed(self, array: Any) -> None:
        self._rows += len(array)

    def digest(self) -> bytes:
        return node("nulls", size(self._rows))


class _Fixed:
    def __init__(self, kind: Any) -> None:
        self._fixed = Fixed()
        self._width = kind.bit_width // 8
        self._dtype = _number(kind)

    def feed(self, array: Any) -> None:
        if not len(array):
            return
        values = self._raw(array)
        if not array.null_count:
            self._fixed.feed(values)
            return
        bits = _bitmap(array)
        for window in windows(len(array)):
            self._fixed.feed_nulls(values[window], bits, array.offset + window.start)

    def digest(self) -> bytes:
        return self._fixed.digest()

    def _raw(self, array: Any) -> Array:
        if not self._width:  # fixed_size_binary(0)
            return np.empty((len(array), 0), np.uint8)
        start, stop = array.offset * self._width, (array.offset + len(array)) * self._width
        values = np.frombuffer(array.buffers()[1], np.uint8)[start:stop].view(self._dtype)
        return values.reshape(len(array), -1) if len(values) != len(array) else values


def _number(kind: Any) -> np.dtype[Any]:
    if pa.types.is_floating(kind):
        return np.dtype(f"f{kind.bit_width // 8}")
    if pa.types.is_fixed_size_binary(kind):
        return np.dtype("u1")
    return np.dtype(f"u{min(kind.bit_width // 8, 8)}")


class _Booleans:
    def __init__(self, kind: Any) -> None:
        self._rows = 0
        self._validity = Bits()
        self._values = Bits()

    def feed(self, array: Any) -> None:
        if not len(array):
            return
        self._rows += len(array)
        _validity(self._validity, array)
        bits = np.frombuffer(array.buffers()[1], np.uint8)
        if not array.null_count:
            self._values.packed(bits, array.offset, len(array))
            return
        valid = _bitmap(array)
        for window in windows(len(array)):
            place = (array.offset + window.start, window.stop - window.start)
            self._values.flags(unpacked(bits, *place) & unpacked(valid, *place))

    def digest(self) -> bytes:
        parts = (self._validity.digest(), self._values.digest())
        return node("booleans", size(self._rows), *parts)


class _Bytes:
    def __init__(self, kind: Any) -> None:
        self._validity = Bits()
        self._lengths = Lengths()
        self._hash = xxhash.xxh3_128()

    def feed(self, array: Any) -> None:
        if _is_view(array.type):
            large = pa.large_string() if pa.types.is_string_view(array.type) else pa.large_binary()
            for window in windows(len(array)):
                self.feed(array.slice(window.start, window.stop - window.start).cast(large))
            return
        if not len(array):
            return
        _validity(self._validity, array)
        for window in windows(len(array)):
            self._window(array.slice(window.start, window.stop - window.start))

    def _window(self, array: Any) -> None:
        offsets = _offsets(array)
        lengths = np.diff(offsets)
        if array.null_count:
            valid = unpacked(_bitmap(array), array.offset, len(array))
            if lengths[valid == 0].any():
                lengths = without_nulls(lengths, valid)
                array = array.drop_null()
                offsets = _offsets(array)
        total = int(offsets[-1] - offsets[0])
        self._lengths.feed(lengths, total)
        if total:
            data = np.frombuffer(array.buffers()[2], np.uint8)
            self._hash.update(data[int(offsets[0]) : int(offsets[-1])])

    def digest(self) -> bytes:
        parts = (self._validity.digest(), self._lengths.digest(), self._hash.digest())
        return node("bytes", *parts)


def _offsets(array: Any) -> Array:
    if not len(array):
        return np.zeros(1, np.int64)
    kind = np.int64 if _is_large_bytes(array.type) else np.int32
    return np.frombuffer(array.buffers()[1], kind)[array.offset : array.offset + len(array) + 1]


class _Lists:
    def __init__(self, kind: Any) -> None:
        self._validity = Bits()
        self._lengths = Lengths()
        self._item = column_of(_item_type(kind))

    def feed(self, array: Any) -> None:
        if not len(array):
            return
        _validity(self._validity, array)
        for window in windows(len(array)):
            piece = array.slice(window.start, window.stop - window.start)
            items = _as_list(piece).flatten()
            lengths = pc.list_value_length(_as_list(piece)).fill_null(0)
            self._lengths.feed(lengths.to_numpy(zero_copy_only=False), len(items))
            self._item.feed(items)

    def digest(self) -> bytes:
        parts = (self._validity.digest(), self._lengths.digest(), self._item.digest())
        return node("lists", *parts)


def _item_type(kind: Any) -> Any:
    if pa.types.is_map(kind):
        return pa.struct([kind.key_field, kind.item_field])
    return kind.value_type


def _as_list(array: Any) -> Any:
    if not pa.types.is_map(array.type):
        return array
    kind = pa.list_(_item_type(array.type))
    children = [pa.StructArray.from_arrays([array.keys, array.items], fields=list(kind.value_type))]
    validity, offsets = array.buffers()[:2]
    return pa.Array.from_buffers(
        kind, len(array), [validity, offsets], offset=array.offset, children=children
    )


class _FixedLists:
    def __init__(self, kind: Any) -> None:
        self._rows = 0
        self._validity = Bits()
        self._item = column_of(kind.value_type)

    def feed(self, array: Any) -> None:
        self._rows += len(array)
        _validity(self._validity, array)
        for window in windows(len(array)):
            self._item.feed(array.slice(window.start, window.stop - window.start).flatten())

    def digest(self) -> bytes:
        return node("fixed lists", size(self._rows), self._validity.digest(), self._item.digest())


class _Structs:
    def __init__(self, kind: Any) -> None:
        self._rows = 0
        self._validity = Bits()
        self._fields = [column_of(field.type) for field in kind]

    def feed(self, array: Any) -> None:
        self._rows += len(array)
        _validity(self._validity, array)
        for column, values in zip(self._fields, array.flatten(), strict=True):
            column.feed(values)

    def digest(self) -> bytes:
        fields = (field.digest() for field in self._fields)
        return node("structs", size(self._rows), self._validity.digest(), *fields)


class _Unions:
    def __init__(self, kind: Any) -> None:
        self._codes = Fixed()
        self._fields = {
            code: column_of(kind.field(i).type) for i, code in enumerate(kind.type_codes)
        }

    def feed(self, array: Any) -> None:
        codes = array.type_codes.to_numpy()
        self._codes.feed(codes)
        for i, (code, column) in enumerate(self._fields.items()):
            rows = np.flatnonzero(codes == code)
            if array.type.mode == "dense":
                rows = array.offsets.to_numpy()[rows]
            column.feed(array.field(i).take(pa.array(rows)))

    def digest(self) -> bytes:
        fields = (field.digest() for field in self._fields.values())
        return node("unions", self._codes.digest(), *fields)


class _Dictionaries:
    """By the values; where they are ordered, by the order of all of the dictionary too."""

    def __init__(self, kind: Any) -> None:
        self._ordered = kind.ordered
        self._orders: dict[bytes, None] = {}
        self._values = column_of(kind.value_type)

    def feed(self, array: Any) -> None:
        if self._ordered:
            order = arrow_column(array.type.value_type, [array.dictionary])
            self._orders.setdefault(order)
        for window in windows(len(array)):
            piece = array.slice(window.start, window.stop - window.start)
            self._values.feed(piece.dictionary_decode())

    def digest(self) -> bytes:
        return node("dictionaries", self._values.digest(), *self._orders)


class _Runs:
    def __init__(self, kind: Any) -> None:
        self._values = column_of(kind.value_type)

    def feed(self, array: Any) -> None:
        for window in windows(len(array)):
            piece = array.slice(window.start, window.stop - window.start)
            self._values.feed(pc.run_end_decode(piece))

    def digest(self) -> bytes:
        return node("runs", self._values.digest())


class _Extensions:
    def __init__(self, kind: Any) -> None:
        self._storage = column_of(kind.storage_type)

    def feed(self, array: Any) -> None:
        self._storage.feed(array.storage)

    def digest(self) -> bytes:
        return self._storage.digest()


def _is_extension(kind: Any) -> bool:
    return isinstance(kind, pa.BaseExtensionType)


def _is_fixed(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_primitive(kind) or types.is_decimal(kind) or _is_binary_of_one_size(kind))


def _is_binary_of_one_size(kind: Any) -> bool:
    return bool(pa.types.is_fixed_size_binary(kind) or pa.types.is_interval(kind))


_COLUMNS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Column]], ...] = (
    (_is_extension, _Extensions),
    (pa.types.is_dictionary, _Dictionaries),
    (pa.types.is_null, _Nulls),
    (pa.types.is_boolean, _Booleans),
    (_is_bytes, _Bytes),
    (_is_view, _Bytes),
    (_is_fixed, _Fixed),
    (_is_list, _Lists),
    (pa.types.is_fixed_size_list, _FixedLists),
    (pa.types.is_struct, _Structs),
    (pa.types.is_union, _Unions),
    (pa.types.is_run_end_encoded, _Runs),
)
