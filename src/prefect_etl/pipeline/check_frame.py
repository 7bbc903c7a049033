"""Checks a frame against a contract: the pipeline's rules, over rows in memory, in one scan."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import ValidationError

from prefect_etl.core.contract import (
    Contract,
    Rule,
    assert_fits,
    compile_rules,
    table_checks,
)
from prefect_etl.core.contract.table import columns_of
from prefect_etl.core.report import RuleCount
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.sql import identifier
from prefect_etl.engine.duckdb import Session
from prefect_etl.engine.frames import as_arrow, assert_columns, assert_frame, rows_at, with_columns
from prefect_etl.errors import ConfigError, DataError
from prefect_etl.pipeline.check import RuleSet, bad_rows, flag_rows
from prefect_etl.pipeline.prepare import FAILED_PREFIX, tried
from prefect_etl.utils.validation import REASONS, ROW, RULES, Failure

F = TypeVar("F")
_FRAME = "_etl_frame"


def as_contract(contract: Contract | Mapping[str, Any]) -> Contract:
    """A contract, from what the pipeline file has under ``contract:``.

    Raises:
        ConfigError: It is none; names every mistake.

    Example:
        >>> as_contract({"columns": {"distance": {"ge": 0}}}).on_violation
        'quarantine'
    """
    if isinstance(contract, Contract):
        return contract
    if hasattr(contract, "to_schema") or hasattr(contract, "checks"):
        from prefect_etl.pipeline.pandera_models import contract_of

        return contract_of(contract)
    try:
        return Contract.model_validate(contract)
    except ValidationError as error:
        said = (
            f"  {'.'.join(map(str, fault['loc'])) or 'contract'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise ConfigError(
            "the contract is wrong:\n" + "\n".join(said),
            hint="It is written as under contract: in the pipeline file.",
        ) from error


def check_frame(
    frame: F,
    contract: Contract | Mapping[str, Any],
    *,
    error: Callable[[Failure[Any], str], Exception] | None = None,
    memory_limit: str = "1GiB",
) -> tuple[F, Failure[F]]:
    """The rows that keep a contract, and those that do not.

    Args:
        frame: pandas, Polars or Arrow; a lazy frame is computed.
        contract: As in the pipeline file.
        error: Makes what the failure raises.
        memory_limit: What the engine may use, as DuckDB spells sizes.

    Raises:
        ConfigError: It is no frame or no contract.
        SchemaError: A column that the contract names is not there.
        DataError: A rule cannot be applied to its column.
    """
    rules, kind = as_contract(contract), assert_frame(frame)
    computed: Any = frame.collect() if kind == "polars.LazyFrame" else frame  # type: ignore[attr-defined]
    assert_columns(computed, list(rules.columns))
    asked = rules.columns or rules.rows or rules.table
    found, whole = _broken(computed, rules, memory_limit) if asked else (_nothing(), ())
    good, bad = _split(computed, rules, found)
    if kind == "polars.LazyFrame":
        good, bad = good.lazy(), bad.lazy()
    return good, Failure(
        rows=bad,
        rules=(*_counts(rules, found), *whole),
        checked=_rows(computed),
        contract=rules,
        _broken=found.num_rows,
        **({} if error is None else {"_error": error}),
    )


def _broken(frame: Any, contract: Contract, memory_limit: str) -> tuple[Any, tuple[RuleCount, ...]]:
    """The rows that broke a rule, and the rules that the frame as a whole broke.

    The first is an Arrow table: a row's place from 1, rules and reasons.
    """
    import duckdb
    import numpy as np
    import pyarrow as pa

    typed = [name for name, rules in contract.columns.items() if rules.type is not None]
    rows = as_arrow(frame, _needed(frame, contract), text=typed)
    numbers = pa.array(np.arange(1, rows.num_rows + 1))
    rows = rows.append_column(ROW_NUMBER, numbers)
    session = Session(memory_limit, spill=Path(tempfile.gettempdir()) / f"etl-check-{uuid4().hex}")
    try:
        with session.cursor() as cursor:
            cursor.register(_FRAME, rows)
            kinds = {
                name: kind for name, kind, *_ in cursor.execute(f"DESCRIBE {_FRAME}").fetchall()
            }
            assert_fits(contract, _compared(contract, kinds), "the frame")
            whole = _of_the_whole(contract, lambda sql: cursor.execute(sql).fetchone() or ())
            if not (contract.columns or contract.rows):
                return _nothing(), whole
            return cursor.execute(_sql(contract, kinds)).to_arrow_table(), whole
    except duckdb.Error as failed:
        said = str(failed).strip().split("\n")[0]
        raise DataError(
            f"the contract cannot be applied: {said}",
            hint="Give the column a type: in the contract, or a rule that fits its values.",
        ) from failed
    finally:
        session.close()


def _needed(frame: Any, contract: Contract) -> list[str]:
    """The columns that the rules name; all, where they are SQL of the user's."""
    if contract.rows:
        return [str(name) for name in getattr(frame, "column_names", None) or frame.columns]
    named = {*contract.columns, *(columns_of(contract.table) if contract.table else ())}
    assert_columns(frame, sorted(named - set(contract.columns)))
    return [*contract.columns, *sorted(named - set(contract.columns))]


def _compared(contract: Contract, kinds: Mapping[str, str]) -> dict[str, str]:
    """Types of columns as rules see them; of a column of nothing but nulls none."""
    rules = contract.columns
    return {n: k for n, k in kinds.items() if n in rules and k not in ('"NULL"', "NULL", "INTEGER")}


def _of_the_whole(contract: Contract, ask: Callable[[str], Sequence[Any]]) -> tuple[RuleCount, ...]:
    """The rules on the whole table that the frame breaks."""
    rules = contract.table
    if rules is None:
        return ()
    if others := [*rules.references, *rules.sums]:
        raise ConfigError(
            f"contract: table: {', '.join(others)}: a frame has no other tables to compare with",
            hint="Leave references and sums to the contract of a dataset.",
        )
    told = (
        (check, check.judge(ask(check.sql(_FRAME, identifier))))
        for check in table_checks(rules, datetime.now(UTC))
    )
    return tuple(RuleCount(check.name, said, 0, check.severity) for check, said in told if said)


def _sql(contract: Contract, kinds: Mapping[str, str]) -> str:
    """The SELECT over the frame, its values converted to the contract's types."""
    columns = [f"0 AS {UNIT_ID}", ROW_NUMBER]
    columns += [identifier(n) for n in kinds if n not in contract.columns and n != ROW_NUMBER]
    for name, rules in contract.columns.items():
        column = identifier(name)
        if rules.type is None:
            columns.append(column)
            continue
        same = rules.type == kinds[name]
        value, failed = (column, "FALSE") if same else tried(column, rules.type)
        columns += [f"{value} AS {column}", f"{failed} AS {identifier(FAILED_PREFIX + name)}"]
    rules_of = RuleSet(_rules(contract))
    rows = flag_rows(rules_of, f"(SELECT {', '.join(columns)} FROM {_FRAME})")
    bad = bad_rows(rules_of, rows)
    return (
        f"SELECT {ROW_NUMBER} AS {ROW}, rules AS {RULES}, reasons AS {REASONS} "
        f"FROM ({bad}) ORDER BY 1"
    )


def _rules(contract: Contract) -> tuple[Rule, ...]:
    types = (
        Rule(
            f"{name}.type",
            f"{name} is not {rules.type}",
            identifier(FAILED_PREFIX + name),
            severity=rules.severity or contract.on_violation,
        )
        for name, rules in contract.columns.items()
        if rules.type is not None
    )
    return (*types, *compile_rules(contract))


def _nothing() -> Any:
    import pyarrow as pa

    texts = pa.list_(pa.string())
    return pa.schema([(ROW, pa.int64()), (RULES, texts), (REASONS, texts)]).empty_table()


def _split(frame: Any, contract: Contract, found: Any) -> tuple[Any, Any]:
    import numpy as np

    mask = np.zeros(_rows(frame), dtype=bool)
    mask[found[ROW].to_numpy() - 1] = True
    bad = with_columns(rows_at(frame, mask), found.select([RULES, REASONS, ROW]))
    noted = {rule.name for rule in _rules(contract) if rule.severity == "warn"}
    for row, rules in zip(found[ROW].to_pylist(), found[RULES].to_pylist(), strict=True):
        if noted.issuperset(rules):
            mask[row - 1] = False
    return rows_at(frame, ~mask) if mask.any() else frame, bad


def _counts(contract: Contract, found: Any) -> tuple[RuleCount, ...]:
    counted = found[RULES].combine_chunks().flatten().value_counts().to_pylist()
    counts = {count["values"]: count["counts"] for count in counted}
    return tuple(
        RuleCount(rule.name, rule.reason, counts[rule.name], rule.severity)
        for rule in _rules(contract)
        if rule.name in counts
    )


def _rows(frame: Any) -> int:
    return int(frame.num_rows) if hasattr(frame, "num_rows") else len(frame)
