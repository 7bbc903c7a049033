"""Looks at transformations before anything runs: what they read, in which order they go.

What a transformation reads is taken from the ledger as long as its text is the one that was run
last, so that a run with nothing new parses no SQL and imports no module of the user's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect_etl.connectors.transforming import Select, SqlTables
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.core.warehouse import Snapshot, TableRef, TransformationState
from prefect_etl.errors import ConfigError, EtlError
from prefect_etl.pipeline.transform.names import Names
from prefect_etl.pipeline.transform.order import in_order
from prefect_etl.pipeline.transform.prepared import Dependency, Prepared
from prefect_etl.pipeline.transform.source import digest, function_digest, sql_text

# While these are as they were, so are the tables that are read.
_DECIDE_READS = ("sql", "function", "parameters")


def prepare(
    specs: Sequence[TransformationSpec],
    root: Path,
    datasets: Sequence[DatasetSpec],
    tables: SqlTables,
    snapshot: Snapshot,
    *,
    pipeline: str,
) -> tuple[Prepared, ...]:
    """Look at all transformations of a pipeline.

    Args:
        specs: What the user said of them.
        root: The folder that their files are relative to.
        datasets: Of the pipeline: their tables can be read.
        tables: Where they run.
        snapshot: What is there now.
        pipeline: The pipeline's name.

    Returns:
        In the order in which they run.

    Raises:
        ConfigError: One of them cannot run; all such mistakes are named at once.
    """
    names = Names.of([*datasets, *specs], tables.default_schema)
    look = _Look(root, tables, snapshot, pipeline, names)
    prepared: list[Prepared] = []
    mistakes: list[ConfigError] = []
    for spec in specs:
        try:
            prepared.append(look.at(spec))
        except ConfigError as error:
            mistakes.append(ConfigError(f"{spec.name}: {error.message}", hint=error.hint))
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise ConfigError("\n".join(str(mistake) for mistake in mistakes))
    return in_order(prepared)


@dataclass(frozen=True, slots=True)
class _Look:
    root: Path
    tables: SqlTables
    snapshot: Snapshot
    pipeline: str
    names: Names

    def at(self, spec: TransformationSpec) -> Prepared:
        table = TableRef(spec.schema_ or self.tables.default_schema, spec.table)
        state = self.snapshot.transformations.get(table)
        sql = sql_text(spec, self.root)
        fingerprint = _fingerprint(spec, sql, self.root)
        if state is None or state.fingerprint.get("checks") != fingerprint["checks"]:
            for expression in spec.checks.expression:
                self.tables.condition(expression)
        reads = self._known_reads(fingerprint, state)
        if reads is None:
            reads = self._found_reads(spec, sql)
        self._assert_known(reads)
        label = self.names.own(table)
        return Prepared(spec, self.pipeline, table, label, self.root, sql, fingerprint, reads)

    def _known_reads(
        self, fingerprint: Mapping[str, str], state: TransformationState | None
    ) -> tuple[Dependency, ...] | None:
        """What is read, from the ledger; None where that no longer holds."""
        if state is None or any(
            state.fingerprint.get(part) != fingerprint.get(part) for part in _DECIDE_READS
        ):
            return None
        reads = []
        for read in state.reads:
            argument = read.argument
            table = read.table if argument is None else self.names.table(argument)
            if table is None:
                return None
            reads.append(Dependency(table, self.names.label(table), argument))
        return tuple(reads)

    def _found_reads(self, spec: TransformationSpec, sql: str | None) -> tuple[Dependency, ...]:
        if sql is None:
            from prefect_etl.pipeline.transform.function import function_reads

            return function_reads(spec, self.root, self.names)
        select = self.tables.select(sql)
        assert_parameters(select, spec.parameters)
        return tuple(Dependency(table, self.names.label(table)) for table in select.reads)

    def _assert_known(self, reads: Sequence[Dependency]) -> None:
        for read in reads:
            if read.table not in self.names.parts and read.table not in self.snapshot.tables:
                others = [self.names.own(table) for table in self.snapshot.tables]
                near = self.names.nearest(read.label, others)
                raise ConfigError(
                    f"it reads {read.label}, which is no dataset, transformation or table{near}",
                    hint="A table is named as its dataset, or as into: says, with its schema: "
                    "in front if it has one.",
                )


def assert_parameters(select: Select, values: Mapping[str, Any]) -> None:
    """Make sure that every parameter of a SELECT has a value, and every value a parameter.

    Raises:
        ConfigError: One has not.
    """
    wanted = {name.casefold(): name for name in sorted(select.parameters)}
    given = {name.casefold(): name for name in values}
    for key, name in wanted.items():
        if key not in given:
            raise ConfigError(
                f"its SQL has ${name}, which has no value{did_you_mean(name, values)}",
                hint=f"Give it one with parameters: {{{name}: …}}.",
            )
    for key, name in given.items():
        if key not in wanted:
            raise ConfigError(
                f"its SQL has no ${name}{did_you_mean(name, wanted.values())}",
                hint=f"Use ${name} in it, or remove the parameter.",
            )


def _fingerprint(spec: TransformationSpec, sql: str | None, root: Path) -> dict[str, str]:
    """What decides the result, each part by its name."""
    values = json.dumps(dict(spec.parameters), sort_keys=True, default=repr)
    parts = {
        "kind": spec.kind,
        "key": ",".join(spec.key),
        "parameters": digest(values),
        "checks": digest(spec.checks.model_dump_json()),
    }
    if sql is not None:
        return parts | {"sql": digest(sql)}
    # What cannot be read may have changed every time.
    return parts | {"function": function_digest(spec.python, root) or uuid4().hex}


def named(name: str, error: EtlError) -> EtlError:
    """The same error with the transformation's name in front, if it is not there yet."""
    if error.message.startswith(f"{name}: "):
        return error
    return type(error)(f"{name}: {error.message}", hint=error.hint)
