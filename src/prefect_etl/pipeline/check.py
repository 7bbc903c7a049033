"""Checks the rows of a load against the contract, in one scan, before anything is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.contract import Contract, Rule, assert_fits, compile_rules
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.report import RuleCount
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, ContractError
from prefect_etl.pipeline.prepare import FAILED_PREFIX, KEEP, Prepared

_REJECTED = "_etl_rejected"
_BAD = "_etl_bad"


@dataclass(frozen=True, slots=True)
class Checked:
    """The rows of a load, told apart.

    Attributes:
        counts: By unit id: ``read``, ``filtered`` and ``quarantined``.
        rules: Broken rules.
        good: SQL: the table's columns, ``_etl_unit_id`` and ``_etl_row`` of the rows to load.
        bad: SQL: ``_etl_unit_id``, ``_etl_row``, ``rules`` and ``reasons`` of the rows that are put
            aside; None where there are none.
    """

    counts: dict[int, Accounting]
    rules: tuple[RuleCount, ...]
    good: str
    bad: str | None

    @property
    def quarantined(self) -> int:
        """Rows that are put aside."""
        return sum(count.quarantined for count in self.counts.values())

    @property
    def read(self) -> int:
        """Rows that were read."""
        return sum(count.read for count in self.counts.values())


def key_rules(spec: DatasetSpec) -> tuple[Rule, ...]:
    """A row without a key cannot be merged; it is put aside whatever the contract says."""
    if not spec.keyed:
        return ()
    return tuple(
        Rule(f"{name}.key", f"key column {name} is null", f"{identifier(name)} IS NULL")
        for name in spec.key
    )


def type_rules(spec: DatasetSpec, prepared_columns: str) -> tuple[Rule, ...]:
    """A value that does not convert to the contract's type breaks the rule ``type``."""
    columns = spec.contract.columns if spec.contract else {}
    default = spec.contract.on_violation if spec.contract else "quarantine"
    return tuple(
        Rule(
            f"{name}.type",
            f"{name} is not {rules.type}",
            identifier(FAILED_PREFIX + name),
            severity=rules.severity or default,
        )
        for name, rules in columns.items()
        if rules.type is not None and identifier(FAILED_PREFIX + name) in prepared_columns
    )


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of a load, with those first that put a row aside."""

    rejecting: tuple[Rule, ...]
    noting: tuple[Rule, ...] = ()

    @property
    def all(self) -> tuple[Rule, ...]:
        """All of them, in the order of their numbers."""
        return (*self.rejecting, *self.noting)


def _rules(session: Session, spec: DatasetSpec, prepared: Prepared) -> RuleSet:
    keys = key_rules(spec)
    if spec.contract is None:
        return RuleSet(keys)
    assert_applicable(session, spec.contract, prepared.evolution.schema, spec.name)
    rules = (*type_rules(spec, prepared.rows), *compile_rules(spec.contract))
    return RuleSet(
        (*keys, *(rule for rule in rules if rule.severity == "quarantine")),
        tuple(rule for rule in rules if rule.severity != "quarantine"),
    )


def assert_applicable(
    session: Session, contract: Contract, schema: TableSchema, where: str
) -> None:
    """Make sure, before a row is looked at, that each rule can be asked of these columns.

    Raises:
        ConfigError: One cannot; it is named.
    """
    import duckdb

    assert_fits(contract, dict(schema.pairs()), where)
    columns = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(n)}" for n, kind in schema.pairs())
    for name, rule in contract.rows.items():
        try:
            session.query(f"SELECT (\n{rule.check}\n)::BOOLEAN FROM (SELECT {columns}) LIMIT 0")
        except duckdb.Error as error:
            said = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"{where}: contract: rows: {name} is no condition on its rows: {said}",
                hint=f"It speaks of columns after rename: {', '.join(schema.names)}.",
            ) from error


def check(session: Session, prepared: Prepared, spec: DatasetSpec, read: dict[int, int]) -> Checked:
    """Count what breaks which rule, by unit.

    Args:
        session: The engine.
        prepared: The rows.
        spec: The dataset with its contract.
        read: Rows by unit id, from the manifests.
    """
    rules = _rules(session, spec, prepared)
    columns = ", ".join(identifier(column.name) for column in prepared.evolution.schema)
    chosen = f"SELECT {columns}, {UNIT_ID}, {ROW_NUMBER} FROM"
    kept = f"({prepared.rows}) WHERE {KEEP}" if spec.where else f"({prepared.rows})"
    if not rules.all and not spec.where:
        counts = {unit_id: Accounting(read=rows) for unit_id, rows in read.items()}
        return Checked(counts, (), f"{chosen} {kept}", None)
    flagged = flag_rows(rules, kept)
    counts, broken = _count(session, flagged, rules, read)
    if not any(count.quarantined for count in counts.values()):
        return Checked(counts, broken, f"{chosen} {kept}", None)
    good = f"{chosen} ({flagged}) WHERE NOT {_REJECTED}"
    return Checked(counts, broken, good, bad_rows(rules, flagged))


def flag_rows(rules: RuleSet, kept: str) -> str:
    """Rows with a column ``_etl_rule_<n>`` for each rule, and whether the row is put aside."""
    numbered = list(enumerate(rules.all))
    rejecting = len(rules.rejecting)
    plain = [(n, rule) for n, rule in numbered if not rule.over_load]
    over_load = [(n, rule) for n, rule in numbered if rule.over_load]
    bad = " OR ".join(f"_etl_rule_{n}" for n, _ in plain if n < rejecting) or "FALSE"
    flags = "".join(f", {rule.violated} AS _etl_rule_{n}" for n, rule in plain)
    rows = f"SELECT *, ({bad}) AS {_BAD} FROM (SELECT *{flags} FROM {kept})"
    if over_load:
        flags = "".join(f", {rule.violated} AS _etl_rule_{n}" for n, rule in over_load)
        rows = f"SELECT *{flags} FROM ({rows})"
    rejected = " OR ".join([_BAD, *(f"_etl_rule_{n}" for n, _ in over_load if n < rejecting)])
    return f"SELECT *, ({rejected}) AS {_REJECTED} FROM ({rows})"


def _count(
    session: Session, flagged: str, rules: RuleSet, read: dict[int, int]
) -> tuple[dict[int, Accounting], tuple[RuleCount, ...]]:
    flags = "".join(f", count(*) FILTER (_etl_rule_{n})" for n in range(len(rules.all)))
    rows = session.query(
        f"SELECT {UNIT_ID}, count(*), count(*) FILTER ({_REJECTED}){flags} "
        f"FROM ({flagged}) GROUP BY 1"
    )
    found = {unit_id: (kept, rejected) for unit_id, kept, rejected, *_ in rows}
    counts = {}
    for unit_id, total in read.items():
        kept, rejected = found.get(unit_id, (0, 0))
        counts[unit_id] = Accounting(read=total, filtered=total - kept, quarantined=rejected)
    sums = [sum(column) for column in zip(*(row[3:] for row in rows), strict=True)]
    broken = tuple(
        RuleCount(
            rule.name,
            rule.reason,
            int(rows_broken),
            rule.severity,
        )
        for rule, rows_broken in zip(rules.all, sums, strict=False)
        if rows_broken
    )
    return counts, broken


def bad_rows(rules: RuleSet, flagged: str) -> str:
    """Of flagged rows those that are put aside: their place, ``rules`` and ``reasons``."""

    def gathered(texts: Sequence[str]) -> str:
        cases = ", ".join(
            f"CASE WHEN _etl_rule_{n} THEN {literal(text)} END" for n, text in enumerate(texts)
        )
        return f"list_filter([{cases}], lambda x: x IS NOT NULL)"

    names = gathered([rule.name for rule in rules.rejecting])
    reasons = gathered([rule.reason for rule in rules.rejecting])
    return (
        f"SELECT {UNIT_ID}, {ROW_NUMBER}, {names} AS rules, {reasons} AS reasons "
        f"FROM ({flagged}) WHERE {_REJECTED}"
    )


def assert_acceptable(checked: Checked, spec: DatasetSpec, quarantine: str | None) -> None:
    """Refuse a load that breaks its contract more than the contract allows.

    Args:
        checked: The outcome of the check.
        spec: The dataset.
        quarantine: Where the bad rows can be seen, for the message.

    Raises:
        ContractError: Nothing may be published.
    """
    contract = spec.contract
    if contract is None:
        return
    where = f" See {quarantine}." if quarantine else ""
    failing = [rule for rule in checked.rules if rule.on_violation == "fail"]
    if failing:
        said = "; ".join(f"{rule.rows} rows: {rule.reason}" for rule in failing)
        raise ContractError(
            f"{spec.name}: the contract is broken: {said}",
            hint="Nothing was published. Mend the data, or change the contract.",
        )
    most = contract.max_rejected
    share = checked.quarantined / checked.read if checked.read else 0.0
    if most is not None and share > most:
        said = "; ".join(f"{rule.rows} rows: {rule.reason}" for rule in checked.rules)
        raise ContractError(
            f"{spec.name}: {checked.quarantined} of {checked.read} rows ({share:.2%}) broke the "
            f"contract, more than max_rejected ({most:.2%}): {said}",
            hint=f"Nothing was published. Mend the data, or change the contract.{where}",
        )
