"""Finds dialect and types of new files, once for all files of a run.

DuckDB's sniffer looks at the first rows of a few files. What it says is bent towards the table that
exists already; where a later value does not fit, :func:`broaden` looks at the whole file and picks
a type that does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prefect_etl.connectors.files.config import FilesDataset, Format
from prefect_etl.connectors.files.dialect import sniff
from prefect_etl.connectors.files.listing import first_line, glob_literal
from prefect_etl.connectors.files.reading import (
    Reading,
    as_text,
    csv_source,
    integers,
    retyped,
)
from prefect_etl.core.schema import TableSchema, widen
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import is_integer
from prefect_etl.core.unit import Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import SourceReadError

if TYPE_CHECKING:
    import duckdb

# So many files of one header are looked at, spread over all of them.
_SAMPLED_FILES = 8
# More digits than a double holds exactly.
_WHOLE = r"\s*[+-]?\d+\s*"
_SAMPLED_ROWS = 20_480
_LONG_INTEGER = r"^[+-]?\d{16,}$"
_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*")


def detect(
    session: Session, folder: Path, dataset: FilesDataset, kind: Format, units: Sequence[Unit]
) -> list[tuple[Reading, list[Unit]]]:
    """Group files that are read alike, and say how.

    Types are one for all groups: two files never disagree about a column within a run.

    Raises:
        SourceReadError: The files are empty, or their format is not what they say.
    """
    with session.cursor() as cursor:
        match kind:
            case "csv" | "tsv":
                groups = _detect_csv(cursor, folder, dataset, kind, units)
            case "json" | "jsonl":
                groups = [(_detect_json(cursor, folder, kind, units), list(units))]
            case "parquet":
                groups = _detect_parquet(cursor, folder, units)
            case "arrow":
                nothing = Reading("arrow", TableSchema(()), {})
                groups = [(nothing, [unit]) for unit in units]
    if kind in ("parquet", "arrow"):
        return groups
    return _agree(groups)


def _detect_csv(
    cursor: duckdb.DuckDBPyConnection,
    folder: Path,
    dataset: FilesDataset,
    kind: Format,
    units: Sequence[Unit],
) -> list[tuple[Reading, list[Unit]]]:
    by_header: dict[bytes, list[Unit]] = {}
    empty: list[Unit] = []
    for unit in units:
        line = first_line(folder, unit.position, dataset.skip or 0)
        header = b"" if dataset.header is False else line
        (by_header.setdefault(header, []) if line else empty).append(unit)
    if not by_header:
        raise SourceReadError(
            f"{units[0].position} is empty: there is no line to take columns from",
            hint="Give it a header line, or remove it.",
        )
    # An empty file has no rows; it is recorded with the files of the first header.
    by_header[next(iter(by_header))].extend(empty)
    groups = []
    for members in by_header.values():
        sampled = [u for u in _spread(members) if u not in empty]
        readings = [sniff(cursor, folder, dataset, kind, unit) for unit in sampled]
        columns = _unify(
            [
                _with_long_integers(cursor, folder, reading, unit)
                for reading, unit in zip(readings, sampled, strict=True)
            ]
        )
        groups.append((readings[0].with_columns(columns), members))
    return groups


def _with_long_integers(
    cursor: duckdb.DuckDBPyConnection, folder: Path, reading: Reading, unit: Unit
) -> TableSchema:
    """Columns of integers that are too long for BIGINT; the sniffer would make them DOUBLE."""
    doubles = [column.name for column in reading.columns if column.type == "DOUBLE"]
    if not doubles:
        return reading.columns
    source = csv_source(as_text(reading, doubles), [glob_literal(str(folder / unit.position))])
    tests = ", ".join(
        f"bool_or(regexp_matches({name}, {literal(_LONG_INTEGER)})), "
        f"bool_and(regexp_full_match({name}, {literal(_WHOLE)}))"
        for name in map(identifier, doubles)
    )
    names = ", ".join(map(identifier, doubles))
    found = (
        cursor.execute(
            f"SELECT {tests} FROM (SELECT {names} FROM {source} LIMIT {_SAMPLED_ROWS})"
        ).fetchone()
        or ()
    )
    types = {
        name: "HUGEINT" if whole else "VARCHAR"
        for name, long, whole in zip(doubles, found[::2], found[1::2], strict=True)
        if long
    }
    return retyped(reading.columns, types)


def _spread(units: Sequence[Unit]) -> list[Unit]:
    # The largest has most rows to tell types by; it also settles what the dialect is.
    largest = max(units, key=lambda unit: unit.size or 0)
    step = max(1, len(units) // _SAMPLED_FILES)
    return [largest, *[u for u in units[::step][:_SAMPLED_FILES] if u is not largest]]


def _detect_json(
    cursor: duckdb.DuckDBPyConnection, folder: Path, kind: Format, units: Sequence[Unit]
) -> Reading:
    files = [glob_literal(str(folder / unit.position)) for unit in units if unit.size]
    if not files:
        raise SourceReadError(f"{units[0].position} is empty", hint="Put records in it.")
    # All of all files: a key that a sample missed would be left out without a word.
    described = cursor.execute(
        f"DESCRIBE SELECT * FROM read_json({literal(files)}, sample_size = -1, "
        "union_by_name = true, maximum_sample_files = 2147483647)"
    ).fetchall()
    return Reading(kind, TableSchema.from_pairs((row[0], row[1]) for row in described), {})


def _detect_parquet(
    cursor: duckdb.DuckDBPyConnection, folder: Path, units: Sequence[Unit]
) -> list[tuple[Reading, list[Unit]]]:
    files = {glob_literal(str(folder / unit.position)): unit for unit in units}
    shapes = cursor.execute(
        "SELECT file_name, list((name, type, logical_type::VARCHAR, converted_type, "
        f"num_children, precision, scale))::VARCHAR FROM parquet_schema({literal(list(files))}) "
        "GROUP BY ALL"
    ).fetchall()
    shape_of = {str(Path(name)): shape for name, shape in shapes}
    by_shape: dict[str, list[Unit]] = {}
    for unit in units:
        shape = shape_of.get(str(folder / unit.position), unit.position)
        by_shape.setdefault(shape, []).append(unit)
    groups = []
    for members in by_shape.values():
        first = glob_literal(str(folder / members[0].position))
        described = cursor.execute(
            f"DESCRIBE SELECT * FROM read_parquet({literal(first)})"
        ).fetchall()
        schema = TableSchema.from_pairs((row[0], row[1]) for row in described)
        groups.append((Reading("parquet", schema, {}), members))
    return groups


def _agree(groups: list[tuple[Reading, list[Unit]]]) -> list[tuple[Reading, list[Unit]]]:
    types = {c.name: c.type for c in _unify([reading.columns for reading, _ in groups])}
    return [
        (reading.with_columns(retyped(reading.columns, types)), units) for reading, units in groups
    ]


def _unify(schemas: Sequence[TableSchema]) -> TableSchema:
    types: dict[str, str] = {}
    for schema in schemas:
        for column in schema:
            types[column.name] = _common(types.get(column.name), column.type)
    return TableSchema.from_pairs(types.items())


def _common(seen: str | None, kind: str) -> str:
    if seen is None or seen == kind:
        return kind
    # The sniffer calls a column of nothing but nulls VARCHAR. If it was text after all, the
    # narrower type fails on its first value and is broadened.
    if "VARCHAR" in (seen, kind):
        return kind if seen == "VARCHAR" else seen
    if {seen, kind} == {"HUGEINT", "DOUBLE"}:
        return "VARCHAR"  # neither holds the other's values
    return widen(seen, kind) or "VARCHAR"


def settle(reading: Reading, dataset: FilesDataset, table: TableSchema | None) -> Reading:
    """Bend detected types towards pins and towards the table that exists.

    A column that is text in the table is read as text, so that ``007`` stays what it is; a number
    is read as the table's type unless a wider one was detected. JSON was looked at whole, and its
    reader rounds: what has no whole numbers is read as it is, and converted later with a check.
    """
    schema = reading.columns
    cast = {*dataset.columns.cast, *_typed_by_contract(dataset)}
    types: dict[str, str] = {}
    for column in schema:
        pinned = dataset.types.get(column.name)
        name = dataset.columns.rename.get(column.name, column.name)
        present = table.find(name) if table is not None else None
        if pinned is not None:
            types[column.name] = pinned
        elif present is not None and name not in cast:
            both = _NUMBER.fullmatch(present.type) and _NUMBER.fullmatch(column.type)
            wider = widen(present.type, column.type) if both else None
            types[column.name] = wider or present.type
        wanted = types.get(column.name, column.type)
        rounds = is_integer(wanted) and not is_integer(column.type) and column.type != "JSON"
        if reading.format in ("json", "jsonl") and rounds:
            types[column.name] = column.type
    return reading.with_columns(retyped(schema, types))


def _typed_by_contract(dataset: FilesDataset) -> set[str]:
    columns = dataset.contract.columns if dataset.contract else {}
    return {name for name, rules in columns.items() if rules.type is not None}


def broaden(
    session: Session, folder: Path, dataset: FilesDataset, reading: Reading, paths: Sequence[str]
) -> dict[str, str]:
    """Types that hold every value of columns whose type does not; empty where none can help."""
    if reading.format not in ("csv", "tsv"):
        return {}
    files = [glob_literal(str(folder / path)) for path in paths]
    with session.cursor() as cursor:
        failing = _failing_columns(cursor, reading, files)
        if not failing or any(name in dataset.types for name in failing):
            return {}
        source = csv_source(as_text(reading, failing), files)
        types = {column.name: column.type for column in reading.columns}
        return {name: _broader(cursor, source, name, types[name]) for name in failing}


def _failing_columns(
    cursor: duckdb.DuckDBPyConnection, reading: Reading, files: Sequence[str]
) -> list[str]:
    source = csv_source(
        reading,
        files,
        store_rejects=True,
        rejects_limit=0,
        rejects_table="_etl_rejects",
        rejects_scan="_etl_reject_scans",
    )
    try:
        cursor.execute(f"SELECT count(COLUMNS(*)) FROM {source}").fetchall()
        rejects = cursor.execute(
            "SELECT DISTINCT column_name, error_type::VARCHAR FROM _etl_rejects"
        ).fetchall()
    finally:
        cursor.execute("DROP TABLE IF EXISTS _etl_rejects")
        cursor.execute("DROP TABLE IF EXISTS _etl_reject_scans")
    if any(kind != "CAST" for _, kind in rejects):
        return []
    return list(
        dict.fromkeys([*(name for name, _ in rejects), *_fractional(cursor, reading, files)])
    )


def _fractional(
    cursor: duckdb.DuckDBPyConnection, reading: Reading, files: Sequence[str]
) -> list[str]:
    """Columns of whole numbers that have others too; the reader rounds them without a word."""
    names = integers(reading)
    if not names:
        return []
    source = csv_source(as_text(reading, names), files)
    tests = ", ".join(f"bool_or(regexp_matches({identifier(name)}, '[.eE]'))" for name in names)
    found = cursor.execute(f"SELECT {tests} FROM {source}").fetchone() or ()
    return [name for name, fractional in zip(names, found, strict=True) if fractional]


def _broader(cursor: duckdb.DuckDBPyConnection, source: str, name: str, kind: str) -> str:
    column = identifier(name)
    candidate = "DOUBLE" if _NUMBER.fullmatch(kind) else "TIMESTAMP" if kind == "DATE" else None
    if candidate is None:
        return "VARCHAR"
    exact = (
        f"NOT regexp_matches({column}, {literal(_LONG_INTEGER)})" if candidate == "DOUBLE" else "1"
    )
    row = cursor.execute(
        f"SELECT bool_and(TRY_CAST({column} AS {candidate}) IS NOT NULL AND {exact}) "
        f"FROM {source} WHERE {column} IS NOT NULL"
    ).fetchone()
    return candidate if row and row[0] else "VARCHAR"
