"""What becomes of objects in objects: kept, spread over columns, or kept as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prefect_etl.connectors.files.config import Nested
from prefect_etl.connectors.files.json.kinds import Kind, kind_of
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.errors import SourceReadError

PATHS = "paths"


def laid_out(found: TableSchema, nested: Nested, position: str) -> tuple[TableSchema, Any]:
    """The columns that the user wants of those found, and options that say where each is.

    Raises:
        SourceReadError: Two columns would have one name.

    Example:
        >>> spread, how = laid_out(TableSchema.of(a="STRUCT(b BIGINT, c DATE)"), "columns", "")
        >>> spread.pairs(), how
        ([('a_b', 'BIGINT'), ('a_c', 'DATE')], {'paths': [['a', 'b'], ['a', 'c']]})
    """
    kinds = [(name, kind_of(kind)) for name, kind in found.pairs()]
    if nested == "json":
        inner = ("struct", "list", "map")
        pairs = [(name, "JSON" if kind.name in inner else kind.spelled) for name, kind in kinds]
        return TableSchema.from_pairs(pairs), {}
    if nested == "keep" or all(kind.name != "struct" for _, kind in kinds):
        return found, {}
    leaves = [leaf for name, kind in kinds for leaf in _leaves([name], kind)]
    names: dict[str, list[str]] = {}
    for path, _ in leaves:
        name = "_".join(path)
        other = names.setdefault(name.lower(), path)
        if other is not path:
            raise SourceReadError(
                f"{position}: {'.'.join(other)} and {'.'.join(path)} would both be column {name}",
                hint="Say nested: keep or nested: json, or rename one at the source.",
            )
    pairs = [("_".join(path), kind.spelled) for path, kind in leaves]
    return TableSchema.from_pairs(pairs), {PATHS: [path for path, _ in leaves]}


def _leaves(path: list[str], kind: Kind) -> Iterator[tuple[list[str], Kind]]:
    if kind.name != "struct":
        yield path, kind
        return
    for name, inner in kind.fields.items():
        yield from _leaves([*path, name], inner)


def gathered(reading: Reading) -> TableSchema:
    """The columns as the file has them."""
    if PATHS not in reading.options:
        return reading.columns
    tree: dict[str, Any] = {}
    for path, column in zip(reading.options[PATHS], reading.columns, strict=True):
        branch = tree
        for name in path[:-1]:
            branch = branch.setdefault(name, {})
        branch[path[-1]] = column.type
    return TableSchema.from_pairs((name, _spelled(part)) for name, part in tree.items())


def _spelled(part: Any) -> str:
    if isinstance(part, str):
        return part
    fields = (f"{identifier(name)} {_spelled(inner)}" for name, inner in part.items())
    return f"STRUCT({', '.join(fields)})"


def selected(reading: Reading) -> str:
    r"""SQL: the columns of the reading, of those that the file has.

    Example:
        >>> selected(Reading("json", TableSchema.of(a_b="DATE"), {"paths": [["a", "b"]]}))
        'CAST(struct_extract("a", \'b\') AS DATE) AS "a_b"'
    """
    paths = reading.options.get(PATHS) or [[name] for name in reading.columns.names]
    parts = []
    for path, column in zip(paths, reading.columns, strict=True):
        value = identifier(path[0])
        for name in path[1:]:
            value = f"struct_extract({value}, {literal(name)})"
        parts.append(f"CAST({value} AS {column.type}) AS {identifier(column.name)}")
    return ", ".join(parts)
