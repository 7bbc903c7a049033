"""Arrow's types and schemas: two are the same here when they are equal to Arrow."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from prefect_etl.core.fingerprint.encoding import leaf, node, text

# An extension type that is not registered in a process is known there by these only.
_EXTENSION = (b"ARROW:extension:name", b"ARROW:extension:metadata")


def arrow_schema(schema: Any) -> bytes:
    """The names and types of a schema, without its metadata."""
    return node("arrow.schema", *map(arrow_field, schema))


def arrow_field(field: Any) -> bytes:
    """A name, a type, and whether there may be nulls."""
    metadata = field.metadata or {}
    extension = node("extension", *(metadata.get(key, b"") for key in _EXTENSION))
    nullable = b"%d" % field.nullable
    return node("arrow.field", text(field.name), nullable, extension, arrow_type(field.type))


def arrow_type(kind: Any) -> bytes:
    """A type, with all that its parameters say."""
    if isinstance(kind, pa.BaseExtensionType):
        serialize = getattr(kind, "__arrow_ext_serialize__", None)
        parameters = serialize() if serialize is not None else text(str(kind))
        storage = arrow_type(kind.storage_type)
        return node("arrow.extension", text(kind.extension_name), parameters, storage)
    for fits, parts in _PARTS:
        if fits(kind):
            return node("arrow.nested", text(fits.__name__), *parts(kind))
    return leaf("arrow.type", text(str(kind)))


def _dictionary(kind: Any) -> list[bytes]:
    return [arrow_type(kind.index_type), arrow_type(kind.value_type), b"%d" % kind.ordered]


def _runs(kind: Any) -> list[bytes]:
    return [arrow_type(kind.run_end_type), arrow_type(kind.value_type)]


def _fields(kind: Any) -> list[bytes]:
    return [arrow_field(kind.field(i)) for i in range(kind.num_fields)]


def _union(kind: Any) -> list[bytes]:
    return [text(kind.mode), text(str(kind.type_codes)), *_fields(kind)]


def _map(kind: Any) -> list[bytes]:
    item = [b"%d" % kind.item_field.nullable, arrow_type(kind.item_type)]
    return [arrow_type(kind.key_type), *item, b"%d" % kind.keys_sorted]


def _list(kind: Any) -> list[bytes]:
    return [b"%d" % kind.value_field.nullable, arrow_type(kind.value_type)]  # the name is no matter


def _fixed_list(kind: Any) -> list[bytes]:
    return [b"%d" % kind.list_size, *_list(kind)]


_PARTS = (
    (pa.types.is_dictionary, _dictionary),
    (pa.types.is_run_end_encoded, _runs),
    (pa.types.is_struct, _fields),
    (pa.types.is_map, _map),
    (pa.types.is_union, _union),
    (pa.types.is_fixed_size_list, _fixed_list),
    (pa.types.is_list, _list),
    (pa.types.is_large_list, _list),
    (pa.types.is_list_view, _list),
    (pa.types.is_large_list_view, _list),
)
