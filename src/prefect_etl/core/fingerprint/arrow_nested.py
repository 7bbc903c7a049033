"""The content of Arrow columns of any type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prefect_etl.core.fingerprint.arrow_flat import (
    BooleanColumn,
    BytesColumn,
    FixedColumn,
    NullColumn,
    add_validity,
    is_bytes,
    pieces,
    plain,
)
from prefect_etl.core.fingerprint.encoding import WINDOW, Refused, node, size
from prefect_etl.core.fingerprint.streams import Bits, Fixed, Lengths, windows


class Column(Protocol):
    """The content of a column, fed in arrays of any length."""

    def feed(self, array: Any) -> None:
        """More rows, below those that were fed before."""

    def digest(self) -> bytes:
        """The digest of all rows."""


def arrow_column(kind: Any, arrays: Iterable[Any]) -> bytes:
    """The digest of a column's content, without its type.

    Raises:
        Refused: Arrow has no means to read such a column.
    """
    column = column_of(kind)
    try:
        for array in _larger(kind, arrays):
            column.feed(array)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise Refused(f"has the Arrow type {kind}, which cannot be read: {reason}") from error
    return column.digest()


def column_of(kind: Any) -> Column:
    """What digests columns of a type.

    Raises:
        Refused: The type is not known.
    """
    for fits, make in _COLUMNS:
        if fits(kind):
            return make(kind)
    raise Refused(f"has the Arrow type {kind}, whose content is not known")


def _larger(kind: Any, arrays: Iterable[Any]) -> Iterator[Any]:
    """The same rows, with small arrays joined up to a window: each array has a cost of its own."""
    if kind.num_fields or pa.types.is_dictionary(kind) or _is_extension(kind):
        yield from arrays  # Arrow cannot join all of these
        return
    small: list[Any] = []
    rows = 0
    for array in arrays:
        if rows + len(array) > WINDOW and small:
            yield pa.concat_arrays(small) if len(small) > 1 else small[0]
            small, rows = [], 0
        small.append(array)
        rows += len(array)
    if small:
        yield pa.concat_arrays(small) if len(small) > 1 else small[0]


class _Lists:
    """Lists of any layout, and maps."""

    def __init__(self, kind: Any) -> None:
        self._validity = Bits()
        self._lengths = Lengths()
        self._item = column_of(_item_type(kind))

    def feed(self, array: Any) -> None:
        if not len(array):
            return
        add_validity(self._validity, array)
        for piece in pieces(_as_list(array) if pa.types.is_map(array.type) else array):
            items = piece.flatten()  # without what lies under nulls
            lengths = pc.list_value_length(piece).fill_null(0)
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
    """A map as the list of its entries, which Arrow's kernels take; nothing is copied."""
    kind = pa.list_(_item_type(array.type))
    entries = pa.StructArray.from_arrays([array.keys, array.items], fields=list(kind.value_type))
    buffers = array.buffers()[:2]
    return pa.Array.from_buffers(kind, len(array), buffers, offset=array.offset, children=[entries])


class _FixedLists:
    def __init__(self, kind: Any) -> None:
        self._rows = 0
        self._validity = Bits()
        self._item = column_of(kind.value_type)

    def feed(self, array: Any) -> None:
        self._rows += len(array)
        add_validity(self._validity, array)
        for piece in pieces(array) if array.null_count else (array,):
            self._item.feed(piece.flatten())  # without what lies under nulls

    def digest(self) -> bytes:
        return node("fixed lists", size(self._rows), self._validity.digest(), self._item.digest())


class _Structs:
    def __init__(self, kind: Any) -> None:
        self._rows = 0
        self._validity = Bits()
        self._fields = [column_of(field.type) for field in kind]

    def feed(self, array: Any) -> None:
        self._rows += len(array)
        add_validity(self._validity, array)
        for column, values in zip(self._fields, array.flatten(), strict=True):
            column.feed(values)  # null where the struct is

    def digest(self) -> bytes:
        fields = (field.digest() for field in self._fields)
        return node("structs", size(self._rows), self._validity.digest(), *fields)


class _Unions:
    """The kind of each row, and for each kind its own values in their order."""

    def __init__(self, kind: Any) -> None:
        self._codes = Fixed()
        self._fields = [column_of(kind.field(i).type) for i in range(kind.num_fields)]

    def feed(self, array: Any) -> None:
        if not len(array):
            return
        # type_codes and offsets of a slice would be those of the whole array.
        here = slice(array.offset, array.offset + len(array))
        codes = np.frombuffer(array.buffers()[1], np.int8)[here]
        dense = array.type.mode == "dense"
        offsets = np.frombuffer(array.buffers()[2], np.int32)[here] if dense else None
        children = [plain(array.field(i)) for i in range(array.type.num_fields)]
        self._codes.feed(codes)
        for window in windows(len(array)):
            for code, child, column in zip(
                array.type.type_codes, children, self._fields, strict=True
            ):
                rows = np.flatnonzero(codes[window] == code) + window.start
                column.feed(child.take(pa.array(rows if offsets is None else offsets[rows])))

    def digest(self) -> bytes:
        return node("unions", self._codes.digest(), *(field.digest() for field in self._fields))


class _Dictionaries:
    """By the values; where they are ordered, by their order too."""

    def __init__(self, kind: Any) -> None:
        self._ordered = kind.ordered
        self._orders: dict[bytes, None] = {}
        self._values = column_of(kind.value_type)

    def feed(self, array: Any) -> None:
        if not len(array):
            return
        values = plain(array.dictionary)
        if self._ordered:
            self._orders.setdefault(arrow_column(values.type, [values]))
        for piece in pieces(array.indices):
            self._values.feed(values.take(piece))

    def digest(self) -> bytes:
        return node("dictionaries", self._values.digest(), *self._orders)


class _Runs:
    def __init__(self, kind: Any) -> None:
        self._values = column_of(kind.value_type)

    def feed(self, array: Any) -> None:
        values, ends = plain(array.values), array.run_ends.to_numpy()
        for window in windows(len(array)):
            rows = np.arange(array.offset + window.start, array.offset + window.stop)
            self._values.feed(values.take(pa.array(np.searchsorted(ends, rows, side="right"))))

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
    fixed = types.is_decimal(kind) or types.is_fixed_size_binary(kind)
    return bool(types.is_primitive(kind) or fixed)


def _is_list(kind: Any) -> bool:
    types = pa.types
    views = types.is_list_view(kind) or types.is_large_list_view(kind)
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind) or views)


_COLUMNS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Column]], ...] = (
    (_is_extension, _Extensions),
    (pa.types.is_dictionary, _Dictionaries),
    (pa.types.is_null, lambda _: NullColumn()),
    (pa.types.is_boolean, lambda _: BooleanColumn()),
    (is_bytes, lambda _: BytesColumn()),
    (_is_fixed, FixedColumn),
    (_is_list, _Lists),
    (pa.types.is_fixed_size_list, _FixedLists),
    (pa.types.is_struct, _Structs),
    (pa.types.is_union, _Unions),
    (pa.types.is_run_end_encoded, _Runs),
)
