"""From raw Parquet to rows of the table's shape: one SELECT, built without reading a row.

The SELECT has two levels. The inner one gives the source's columns with the types that they had
there, and each row's unit and place; ``where`` and quarantine speak of it. The outer one gives the
table's columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.manifest import Manifest
from prefect_etl.core.naming import assert_apart, snake_case
from prefect_etl.core.rows import RESERVED_PREFIX, ROW_NUMBER, UNIT_ID, UNIT_INDEX
from prefect_etl.core.schema import UNKNOWN, Column, Evolution, TableSchema, evolve, widen
from prefect_etl.core.sql import identifier, literals
from prefect_etl.core.types import exact_cast, is_integer, stored_type
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, SchemaError

KEEP = "_etl_keep"
# Of a contract's type rule: whether a value was there and did not convert.
FAILED_PREFIX = "_etl_failed_"
# DuckDB's name for the number of a file.
_FILE = "file_index"
# Columns; whether files are packed; the number of a file that is read alone.
_Group = tuple[TableSchema, bool, int | None]


@dataclass(frozen=True, slots=True)
class Projected:
    """A column of the table and the expression over the source's columns that gives it."""

    column: Column
    source: str
    expression: str
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class RawFile:
    """A batch in the raw zone, with the number of each of its units."""

    manifest: Manifest
    path: Path
    unit_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The rows of a load before they are checked.

    Attributes:
        evolution: The table's schema after the load.
        rows: SQL: the table's columns, ``_etl_unit_id``, ``_etl_row``, ``_etl_keep``, and
            ``_etl_failed_<column>`` for each column that a contract converts.
        source: SQL: the source's columns, ``_etl_unit_id`` and ``_etl_row``.
    """

    evolution: Evolution
    rows: str
    source: str


def project(raw: TableSchema, spec: DatasetSpec) -> list[Projected]:
    """The table's columns from a source's: select or drop, pinned types, renames, casts.

    Raises:
        SchemaError: A column that is named is not there, or a name is reserved.

    Example:
        >>> spec = DatasetSpec(name="w", columns={"rename": {"temp": "temperature"}})
        >>> [c.column.name for c in project(TableSchema.of(temp="DOUBLE", hour="BIGINT"), spec)]
        ['temperature', 'hour']
    """
    _assert_named_columns_exist(raw, spec)
    chosen: Sequence[Column] = [raw[name] for name in spec.columns.select] or raw.columns
    dropped = {name.lower() for name in spec.columns.drop}
    renames = {old.lower(): new for old, new in spec.columns.rename.items()}
    projected = []
    for column in chosen:
        if column.name.lower() in dropped:
            continue
        named = snake_case(column.name) if spec.naming == "snake_case" else column.name
        name = renames.get(column.name.lower(), named)
        if name.lower().startswith(RESERVED_PREFIX):
            raise SchemaError(
                f"{spec.name}: the column name {name} is reserved",
                hint=f"Use columns: {{drop: [{column.name}]}} or {{rename: …}}.",
            )
        projected.append(_project_one(column, name, spec))
    assert_apart(((part.source, part.column.name) for part in projected), spec.name)
    return projected


def _project_one(column: Column, name: str, spec: DatasetSpec) -> Projected:
    source = identifier(column.name)
    kind = _pinned(column, spec)
    rules = spec.contract.columns.get(name) if spec.contract else None
    if rules is not None and rules.type is not None and rules.type != kind:
        value, failed = tried(source, rules.type)
        return Projected(Column(name, rules.type), column.name, value, failed)
    cast = spec.columns.cast.get(name)
    if cast is not None and cast != kind:
        exact = exact_cast(source, kind, cast, name)
        return Projected(Column(name, cast), column.name, exact)
    return Projected(Column(name, kind), column.name, source)


def tried(source: str, kind: str) -> tuple[str, str]:
    """A conversion that gives null where it fails, and whether it failed."""
    value = f"TRY_CAST({source} AS {kind})"
    failed = f"({source} IS NOT NULL AND {value} IS NULL)"
    if is_integer(kind):
        # DuckDB would round: 1.5 is no whole number, 12.0 is.
        whole = f"coalesce(TRY_CAST({source} AS DOUBLE) = CAST({value} AS DOUBLE), FALSE)"
        return f"CASE WHEN {whole} THEN {value} END", f"({source} IS NOT NULL AND NOT {whole})"
    return value, failed


def _pinned(column: Column, spec: DatasetSpec) -> str:
    pins = {name.lower(): kind for name, kind in spec.types.items()}
    return pins.get(column.name.lower(), column.type)


def _assert_named_columns_exist(raw: TableSchema, spec: DatasetSpec) -> None:
    dropped = () if spec.drops_at_source else spec.columns.drop
    named = (*spec.columns.select, *spec.columns.rename, *dropped)
    missing = [name for name in named if raw.find(name) is None]
    if missing:
        raise SchemaError(
            f"{spec.name}: the source has no column {', '.join(missing)}; "
            f"it has {', '.join(raw.names)}",
            hint="Correct columns: in the pipeline file.",
        )


def evolution_of(
    raws: Sequence[TableSchema], spec: DatasetSpec, table: TableSchema | None
) -> Evolution:
    """The table's schema after rows of these source schemas were loaded.

    Raises:
        SchemaError: They do not fit together, or not into the table.
    """
    incoming = [TableSchema(tuple(p.column for p in project(raw, spec))) for raw in raws]
    merged = reduce(lambda one, other: _merged(one, other, spec), incoming)
    evolution = evolve(table, merged, spec.evolution, dataset=spec.name)
    _assert_columns(evolution.schema, spec)
    return evolution


def _merged(one: TableSchema, other: TableSchema, spec: DatasetSpec) -> TableSchema:
    columns = {column.name.lower(): column for column in one}
    for column in other:
        present = columns.get(column.name.lower())
        kind = widen(present.type, column.type) if present else column.type
        if present and kind is None:
            raise SchemaError(
                f"{spec.name}: column {column.name} is {present.type} in one file and "
                f"{column.type} in another",
                hint=f"Pin one type for all with types: {{{column.name}: …}}.",
            )
        name = present.name if present else column.name
        columns[column.name.lower()] = Column(name, kind or column.type)
    return TableSchema(tuple(columns.values()))


def _assert_columns(schema: TableSchema, spec: DatasetSpec) -> None:
    contract = spec.contract.columns if spec.contract else {}
    for field, names in (
        ("key", spec.key),
        ("cursor", (spec.cursor_column,) if spec.cursor_column else ()),
        ("contract", tuple(contract)),
    ):
        missing = [name for name in names if schema.find(name) is None]
        if missing:
            raise SchemaError(
                f"{spec.name}: {field}: there is no column {', '.join(missing)}; "
                f"there is {', '.join(schema.names)}",
                hint=f"Correct {field}: in the pipeline file; it speaks of names after rename.",
            )


def prepare(files: Sequence[RawFile], spec: DatasetSpec, table: TableSchema | None) -> Prepared:
    """Build the SELECT over the raw files of a load.

    Files of one schema are scanned together; a schema of its own gets a branch of its own, and
    so does a file with a column of the name by which DuckDB tells files apart.

    Raises:
        SchemaError: The files do not fit together, or not into the table.
    """
    groups: dict[_Group, list[RawFile]] = {}
    for index, file in enumerate(files):
        schema = file.manifest.schema
        apart = index if schema.find(_FILE) else None
        groups.setdefault((schema, file.manifest.packed, apart), []).append(file)
    _assert_conditions(spec)
    evolution = evolution_of([schema for schema, *_ in groups], spec, table)
    failing = _failing(groups, spec)
    sources = {key: _raw_level(key[0], spec, members) for key, members in groups.items()}
    rows = [_table_level(sources[key], key[0], spec, evolution.schema, failing) for key in groups]
    return Prepared(
        evolution, " UNION ALL ".join(rows), " UNION ALL BY NAME ".join(sources.values())
    )


@dataclass(frozen=True, slots=True)
class OpenRows:
    """Rows that a source gives now, as SQL, and its columns."""

    sql: str
    schema: TableSchema


def prepare_open(
    parts: Sequence[OpenRows], spec: DatasetSpec, table: TableSchema | None, unit_id: int
) -> Prepared:
    """Build the SELECT over rows that were not kept before; all are of one unit.

    Rows are numbered where their order decides, part by part.

    Raises:
        SchemaError: The parts do not fit together, or not into the table.
    """
    _assert_conditions(spec)
    evolution = evolution_of([part.schema for part in parts], spec, table)
    unit = f"CAST({unit_id} AS BIGINT)"
    sources = []
    for index, part in enumerate(parts):
        place = f"{index << 40} + row_number() OVER ()" if spec.keyed else "CAST(0 AS BIGINT)"
        sources.append(_source_level(part.schema, spec, unit, place, f"({part.sql})"))
    rows = [
        _table_level(source, part.schema, spec, evolution.schema, ())
        for source, part in zip(sources, parts, strict=True)
    ]
    return Prepared(evolution, " UNION ALL ".join(rows), " UNION ALL BY NAME ".join(sources))


def _assert_conditions(spec: DatasetSpec) -> None:
    """Refuse SQL of the user's that is more than a condition on a row.

    Raises:
        ConfigError: It is, and might read anything.
    """
    for field, sql in (("where", spec.where), ("deleted_when", spec.deleted_when)):
        if sql is not None:
            _assert_condition(f"{spec.name}: {field}", sql)
    rules = spec.contract.rows if spec.contract else {}
    for name, rule in rules.items():
        _assert_condition(f"{spec.name}: contract: rows: {name}", rule.check)


@cache
def _assert_condition(what: str, sql: str) -> None:
    from prefect_etl.connectors.duckdb.select import check_condition

    # An engine of its own: nothing is open here, and it is quickly made.
    with closing(Session("64MB", threads=1)) as session:
        try:
            check_condition(session, sql)
        except ConfigError as error:
            raise ConfigError(f"{what}: {error.message}", hint=error.hint) from error


def _failing(groups: Mapping[_Group, object], spec: DatasetSpec) -> list[str]:
    names = [p.column.name for raw, *_ in groups for p in project(raw, spec) if p.failed]
    return list(dict.fromkeys(names))


def _raw_level(raw: TableSchema, spec: DatasetSpec, files: Sequence[RawFile]) -> str:
    unit_id, joined = _numbering(files)
    paths = literals(str(file.path) for file in files)
    scan = f"read_parquet([{paths}], file_row_number = true, hive_partitioning = false)"
    return _source_level(raw, spec, unit_id, "file_row_number + 1", f"{scan}{joined}")


def _source_level(raw: TableSchema, spec: DatasetSpec, unit_id: str, place: str, scan: str) -> str:
    columns = [_restored(column, spec) for column in raw]
    columns += [f"{unit_id} AS {UNIT_ID}", f"{place} AS {ROW_NUMBER}"]
    return f"SELECT {', '.join(columns)} FROM {scan}"


def _restored(column: Column, spec: DatasetSpec) -> str:
    name = identifier(column.name)
    stored = "VARCHAR" if column.type == UNKNOWN else stored_type(column.type)
    kind = _pinned(column, spec)
    expression = name
    if column.type not in (stored, UNKNOWN):
        expression = f"CAST({name} AS {column.type})"
    if kind not in (column.type, UNKNOWN):
        expression = exact_cast(expression, column.type, kind, column.name)
    return name if expression == name else f"{expression} AS {name}"


def _numbering(files: Sequence[RawFile]) -> tuple[str, str]:
    """An expression for the number of a row's unit, and what has to be joined for it."""
    first = files[0]
    if len(files) == 1 and not first.manifest.packed:
        return f"CAST({first.unit_ids[0]} AS BIGINT)", ""
    if len(files) == 1 and first.unit_ids == tuple(
        range(first.unit_ids[0], first.unit_ids[0] + len(first.unit_ids))
    ):
        return f"CAST({first.unit_ids[0]} AS BIGINT) + {UNIT_INDEX}", ""
    numbered = [(f, i, n) for f, file in enumerate(files) for i, n in enumerate(file.unit_ids)]
    lists = (
        f"unnest([{', '.join(map(str, numbers))}]) AS {name}"
        for name, numbers in zip(
            ("_etl_file", "_etl_index", "_etl_number"), zip(*numbered, strict=True), strict=True
        )
    )
    within = f" AND _etl_index = {UNIT_INDEX}" if first.manifest.packed else ""
    return "CAST(_etl_number AS BIGINT)", (
        f" JOIN (SELECT {', '.join(lists)}) ON _etl_file = {_FILE}{within}"
    )


def _table_level(
    source: str,
    raw: TableSchema,
    spec: DatasetSpec,
    table: TableSchema,
    failing: Sequence[str],
) -> str:
    projected = {p.column.name.lower(): p for p in project(raw, spec)}
    columns = []
    for column in table:
        found = projected.get(column.name.lower())
        name = identifier(column.name)
        if found is None:
            columns.append(f"CAST(NULL AS {column.type}) AS {name}")
        elif found.column.type == column.type:
            columns.append(f"{found.expression} AS {name}")
        else:
            columns.append(f"CAST({found.expression} AS {column.type}) AS {name}")
    for failing_name in failing:
        found = projected.get(failing_name.lower())
        failed = found.failed if found and found.failed else "FALSE"
        columns.append(f"{failed} AS {identifier(FAILED_PREFIX + failing_name)}")
    # A comment at the end of the condition must not go on.
    keep = f"coalesce((\n{spec.where}\n), FALSE)" if spec.where else "TRUE"
    columns += [UNIT_ID, ROW_NUMBER, f"{keep} AS {KEEP}"]
    return f"SELECT {', '.join(columns)} FROM ({source})"
