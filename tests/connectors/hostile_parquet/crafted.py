"""Parquet files that no writer would write: Thrift's compact protocol by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Int32(int):
    """An integer of 32 bits."""


def _varint(number: int) -> bytes:
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _zigzag(number: int) -> bytes:
    return _varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _value(value: Any) -> tuple[int, bytes]:
    match value:
        case Int32():
            return 5, _zigzag(value)
        case int():
            return 6, _zigzag(value)
        case str():
            return 8, _varint(len(value)) + value.encode()
        case dict():
            return 12, struct(value)
    kinds = [_value(part) for part in value]
    kind = kinds[0][0] if kinds else 12
    head = bytes([0xF0 | kind]) + _varint(len(kinds))
    return 9, head + b"".join(data for _, data in kinds)


def struct(fields: dict[int, Any]) -> bytes:
    """A struct of numbered fields; integers are taken for 64 bits unless in ``Int32``."""
    out, last = b"", 0
    for number, value in sorted(fields.items()):
        kind, data = _value(value)
        out += bytes([(number - last) << 4 | kind]) + data
        last = number
    return out + b"\0"


def repeating(text: bytes, rows_of_page: int, groups: int, *, said: int | None = None) -> bytes:
    """A file with one text in its dictionary that every row of every row group is.

    All row groups are the same bytes.

    Args:
        text: The text.
        rows_of_page: Rows of the only page, one run.
        groups: How many row groups there are.
        said: How many rows the footer says that a row group has.
    """
    plain = len(text).to_bytes(4, "little") + text
    size = Int32(len(plain))
    dictionary = struct({1: Int32(2), 2: size, 3: size, 7: {1: Int32(1), 2: Int32(0)}}) + plain
    run = b"\x01" + _varint(rows_of_page << 1) + b"\0"
    length = Int32(len(run))
    header = {1: Int32(rows_of_page), 2: Int32(8), 3: Int32(3), 4: Int32(3)}
    page = struct({1: Int32(0), 2: length, 3: length, 5: header}) + run
    start = 4
    rows = rows_of_page if said is None else said
    column = {
        1: Int32(6),
        2: _ints(0, 8),
        3: ["s"],
        4: Int32(0),
        5: rows,
        6: len(dictionary) + len(page),
        7: len(dictionary) + len(page),
        9: start + len(dictionary),
        11: start,
    }
    group = {1: [{2: start, 3: column}], 2: len(dictionary) + len(page), 3: rows}
    schema = [
        {4: "schema", 5: Int32(1)},
        {1: Int32(6), 3: Int32(0), 4: "s", 6: Int32(0)},
    ]
    footer = struct({1: Int32(1), 2: schema, 3: rows * groups, 4: [group] * groups})
    body = b"PAR1" + dictionary + page + footer
    return body + len(footer).to_bytes(4, "little") + b"PAR1"


def _ints(*numbers: int) -> Sequence[Int32]:
    return [Int32(number) for number in numbers]
