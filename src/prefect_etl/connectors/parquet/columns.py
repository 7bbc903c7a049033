"""How a table's types are kept in Parquet, exactly or not at all.

DuckDB's Parquet writer turns HUGEINT into DOUBLE, cuts INTERVAL to milliseconds and forgets the
offset of TIME WITH TIME ZONE (https://duckdb.org/docs/stable/data/parquet/overview); such values
are written in another way here. The ledger keeps the table's own types, so a merge compares them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.sql import identifier, literal, literals
from prefect_etl.core.types import is_restorable, stored_type
from prefect_etl.errors import ConfigError, SchemaError

_OTHERWISE = {
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "TIME_NS": "TIME_NS",
    "JSON": "JSON",
}
# What the name of a folder gives back unchanged.
_PARTITIONS = re.compile(r"BOOLEAN|U?(TINY|SMALL|BIG)?INT(EGER)?|DATE|VARCHAR")
# Readers do not decode the names of columns in the names of folders.
_PLAIN = re.compile(r"[A-Za-z0-9_]+")
# Names of folders that Hive, Spark and DuckDB take for a null.
_NULLS = ("", "null", "__hive_default_partition__")
# Bytes of the name of a folder, which is column=value; file systems take 255.
_LONGEST = 255


def kept_type(column: Column) -> str:
    """The type in which a column is written, as DuckDB spells it.

    Raises:
        SchemaError: It cannot be written so that it is the same when it is read.

    Example:
        >>> [kept_type(Column("c", kind)) for kind in ("BIGINT", "HUGEINT", "BIT[]")]
        ['BIGINT', 'DECIMAL(38,0)', 'VARCHAR[]']
    """
    if not is_restorable(column.type) or column.type.startswith("GEOMETRY"):
        raise SchemaError(
            f"column {column.name} is {column.type}, which Parquet does not give back unchanged",
            hint=f"Load it as text with columns: {{cast: {{{column.name}: text}}}}, or drop it.",
        )
    if column.type.endswith("[]"):
        return f"{kept_type(Column(column.name, column.type.removesuffix('[]')))}[]"
    return _OTHERWISE.get(column.type) or stored_type(column.type)


def written(column: Column, *, partition: bool = False) -> str:
    """The expression that a column is written by; it fails for a value that would change."""
    name, kind = identifier(column.name), kept_type(column)
    if partition and kind == "VARCHAR":
        said = literal(f"column {column.name} has a value that the name of a folder cannot say")
        longest = _LONGEST - len(column.name) - 1
        return (
            f"CASE WHEN lower({name}) IN ({literals(_NULLS)}) "
            f"OR length(url_encode({name})) > {longest} THEN error({said}) "
            f"ELSE {name} END AS {name}"
        )
    return name if kind == column.type else f"CAST({name} AS {kind}) AS {name}"


def read(column: Column) -> str:
    """The expression that gives a column back in the table's own type."""
    name = identifier(column.name)
    kind = kept_type(column)
    return name if kind == column.type else f"CAST({name} AS {column.type}) AS {name}"


def assert_partitions(schema: TableSchema, names: Sequence[str], dataset: str) -> None:
    """Check the columns of ``partition_by``.

    Raises:
        ConfigError: One is not there, or of a type that the name of a folder cannot say.
    """
    for name in names:
        column = schema.find(name)
        if column is None:
            raise ConfigError(
                f"{dataset}: partition_by: there is no column {name}; "
                f"there is {', '.join(schema.names)}",
                hint="It speaks of names after rename.",
            )
        if not _PLAIN.fullmatch(column.name):
            raise ConfigError(
                f"{dataset}: partition_by: the name {column.name} cannot be that of folders",
                hint="Rename the column to letters, digits and underscores.",
            )
        if not _PARTITIONS.fullmatch(column.type):
            raise ConfigError(
                f"{dataset}: partition_by: column {name} is {column.type}",
                hint="Partitions are made by text, whole numbers, dates and booleans.",
            )
    if len(names) == len(schema):
        raise ConfigError(
            f"{dataset}: partition_by names all columns, and none would be left for the files",
            hint="Leave one out.",
        )
