"""The content of Arrow columns whose values contain no others.

A column is fed array by array; where one ends and the next begins does not matter, nor what lies
under nulls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from prefect_etl.core.fingerprint.encoding import node, size
from prefect_etl.core.fingerprint.streams import (
    Array,
    Bits,
    Fixed,
    Lengths,
    unpacked,
    windows,
    without_nulls,
)


def pieces(array: Any) -> Iterator[Any]:
    """Slices of at most a window of rows."""
    return (array.slice(rows.start, rows.stop - rows.start) for rows in windows(len(array)))


def bitmap(array: Any) -> Array:
    """Which values are not null; only of an array that has nulls."""
    return np.frombuffer(array.buffers()[0], np.uint8)


def add_validity(bits: Bits, array: Any) -> None:
    """Which values of an array are not null."""
    if array.null_count:
        bits.packed(bitmap(array), array.offset, len(array))
    else:
        bits.ones(len(array))


class NullColumn:
    """Nothing but nulls."""

    def __init__(self) -> None:
        self._rows = 0

    def feed(self, array: Any) -> None:
        """More rows."""
        self._rows += len(array)

    def digest(self) -> bytes:
        """The digest of all rows."""
        return node("nulls", size(self._rows))


class FixedColumn:
    """Values of one width: numbers, decimals, dates, times, bytes of one length."""

    def __init__(self, kind: Any) -> None:
        self._fixed = Fixed()
        self._width = kind.bit_width // 8
        self._dtype = _number(kind)

    def feed(self, array: Any) -> None:
        """More rows."""
        if not len(array):
            return
        values = self._raw(array)
        if not array.null_count:
            self._fixed.feed(values)
            return
        bits = bitmap(array)
        for window in windows(len(array)):
            self._fixed.feed_nulls(values[window], bits, array.offset + window.start)

    def digest(self) -> bytes:
        """The digest of all rows."""
        return self._fixed.digest()

    def _raw(self, array: Any) -> Array:
        if not self._width:
            return np.empty((len(array), 0), np.uint8)
        start, stop = array.offset * self._width, (array.offset + len(array)) * self._width
        values = np.frombuffer(array.buffers()[1], np.uint8)[start:stop].view(self._dtype)
        return values if len(values) == len(array) else values.reshape(len(array), -1)


def _number(kind: Any) -> np.dtype[Any]:
    if pa.types.is_floating(kind):
        return np.dtype(f"f{kind.bit_width // 8}")
    if pa.types.is_fixed_size_binary(kind):
        return np.dtype("u1")
    return np.dtype(f"u{min(kind.bit_width // 8, 8)}")


class BooleanColumn:
    """Bits."""

    def __init__(self) -> None:
        self._rows = 0
        self._validity = Bits()
        self._values = Bits()

    def feed(self, array: Any) -> None:
        """More rows."""
        if not len(array):
            return
        self._rows += len(array)
        add_validity(self._validity, array)
        bits = np.frombuffer(array.buffers()[1], np.uint8)
        if not array.null_count:
            self._values.packed(bits, array.offset, len(array))
            return
        valid = bitmap(array)
        for window in windows(len(array)):
            place = (array.offset + window.start, window.stop - window.start)
            self._values.flags(unpacked(bits, *place) & unpacked(valid, *place))

    def digest(self) -> bytes:
        """The digest of all rows."""
        parts = (self._validity.digest(), self._values.digest())
        return node("booleans", size(self._rows), *parts)


class BytesColumn:
    """Text or bytes of any length, in any of Arrow's layouts."""

    def __init__(self) -> None:
        self._validity = Bits()
        self._lengths = Lengths()
        self._hash = xxhash.xxh3_128()

    def feed(self, array: Any) -> None:
        """More rows."""
        if not len(array):
            return
        add_validity(self._validity, array)
        view = is_bytes_view(array.type)
        for piece in pieces(array):
            self._window(piece.cast(without_views(piece.type)) if view else piece)

    def digest(self) -> bytes:
        """The digest of all rows."""
        parts = (self._validity.digest(), self._lengths.digest(), self._hash.digest())
        return node("bytes", *parts)

    def _window(self, array: Any) -> None:
        offsets = _offsets(array)
        lengths = np.diff(offsets)
        total = int(offsets[-1]) - int(offsets[0])
        if array.null_count:
            valid = unpacked(bitmap(array), array.offset, len(array))
            lengths = without_nulls(lengths, valid)
            if int(lengths.sum(dtype=np.int64)) != total:  # there are bytes under nulls
                array = array.drop_null()
                offsets = _offsets(array)
                total = int(offsets[-1]) - int(offsets[0])
        self._lengths.feed(lengths, total)
        if total:
            data = np.frombuffer(array.buffers()[2], np.uint8)
            self._hash.update(data[int(offsets[0]) : int(offsets[-1])].data)


def _offsets(array: Any) -> Array:
    if not len(array):
        return np.zeros(1, np.int64)
    large = pa.types.is_large_binary(array.type) or pa.types.is_large_string(array.type)
    found = np.frombuffer(array.buffers()[1], np.int64 if large else np.int32)
    return found[array.offset : array.offset + len(array) + 1]


def is_bytes(kind: Any) -> bool:
    """Whether a type is text or bytes of any length."""
    types = pa.types
    small, large = (
        (types.is_binary, types.is_string),
        (types.is_large_binary, types.is_large_string),
    )
    return any(fits(kind) for fits in (*small, *large)) or is_bytes_view(kind)


def is_bytes_view(kind: Any) -> bool:
    """Whether a type is text or bytes laid out as views."""
    return bool(pa.types.is_binary_view(kind) or pa.types.is_string_view(kind))


def without_views(kind: Any) -> Any:
    """A type with plain text and bytes in the place of views, which few of Arrow's kernels take."""
    types = pa.types
    if is_bytes_view(kind):
        return pa.large_string() if types.is_string_view(kind) else pa.large_binary()
    if types.is_struct(kind):
        return pa.struct([field.with_type(without_views(field.type)) for field in kind])
    if types.is_list(kind) or types.is_list_view(kind):
        return pa.list_(kind.value_field.with_type(without_views(kind.value_type)))
    if types.is_large_list(kind) or types.is_large_list_view(kind):
        return pa.large_list(kind.value_field.with_type(without_views(kind.value_type)))
    if types.is_fixed_size_list(kind):
        item = kind.value_field.with_type(without_views(kind.value_type))
        return pa.list_(item, kind.list_size)
    return kind


def plain(array: Any) -> Any:
    """An array whose type has no views."""
    kind = without_views(array.type)
    return array if kind.equals(array.type) else array.cast(kind)
