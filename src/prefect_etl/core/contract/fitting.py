"""Whether rules can be asked of columns of their types, before a row is looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any

from prefect_etl.core.contract.bounds import is_moving
from prefect_etl.core.contract.values import ColumnRules, Contract
from prefect_etl.errors import ConfigError

_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*|UHUGEINT")
_TIMES = ("DATE", "TIMESTAMP")
_TEXT = ("VARCHAR", "ENUM")


def assert_fits(contract: Contract, types: Mapping[str, str], where: str) -> None:
    """Make sure that every bound can be compared with its column.

    Args:
        contract: The contract.
        types: The engine's type of each column.
        where: Named in errors.

    Raises:
        ConfigError: One cannot: a number with a text, a pattern with a date.

    Example:
        >>> rules = Contract(columns={"price": {"ge": 0}})
        >>> assert_fits(rules, {"price": "VARCHAR"}, "orders")
        Traceback (most recent call last):
            ...
        prefect_etl.errors.ConfigError: orders: contract: price.ge is 0, a number, and price is \
VARCHAR
        Give the column a type in the contract, or a bound of its own type.
    """
    known = {name.lower(): kind for name, kind in types.items()}
    for name, rules in contract.columns.items():
        kind = rules.type or known.get(name.lower())
        if kind is None:
            continue
        for rule, bound, what in _bounds(rules):
            if not _comparable(kind, bound):
                raise ConfigError(
                    f"{where}: contract: {name}.{rule} is {bound}, {what}, and {name} is {kind}",
                    hint="Give the column a type in the contract, or a bound of its own type.",
                )
        textual = rules.pattern is not None or (rules.min_length, rules.max_length) != (None, None)
        if textual and not kind.startswith(_TEXT):
            raise ConfigError(
                f"{where}: contract: {name} is {kind}, and pattern and lengths are for text",
                hint="Use ge, le and isin for it, or read it as text with types:.",
            )


def _bounds(rules: ColumnRules) -> list[tuple[str, Any, str]]:
    bounds = [(name, getattr(rules, name)) for name in ("ge", "gt", "le", "lt")]
    given = [(name, bound) for name, bound in bounds if bound is not None]
    given += [("isin", value) for value in rules.isin or () if value is not None]
    return [(name, bound, _called(bound)) for name, bound in given]


def _called(bound: Any) -> str:
    match bound:
        case bool():
            return "true or false"
        case int() | float() | Decimal():
            return "a number"
        case date() | time():
            return "a time"
        case _:
            return "a time" if is_moving(bound) else "a text"


def _comparable(kind: str, bound: Any) -> bool:
    called = _called(bound)
    if _NUMBER.fullmatch(kind):
        return called == "a number"
    if kind.startswith(_TEXT):
        return called == "a text"
    if kind == "BOOLEAN":
        return called == "true or false"
    if kind.startswith(_TIMES) or kind.startswith("TIME"):
        return called in ("a time", "a text")  # of a text the engine says whether it is one
    return True
