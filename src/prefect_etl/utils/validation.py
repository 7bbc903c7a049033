"""What a check of rows found: the rows that broke a rule, and how many broke which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from prefect_etl.core.contract import Contract
from prefect_etl.core.report import RuleCount
from prefect_etl.errors import ContractError

F = TypeVar("F")
RULES = "_rules"
REASONS = "_reasons"
ROW = "_row"


def _contract_error(failure: Failure[Any], message: str) -> Exception:  # noqa: ARG001
    return ContractError(message)


@dataclass(frozen=True, slots=True)
class Failure(Generic[F]):
    """The rows of a frame that broke its contract; true if there are any.

    Attributes:
        rows: They, a frame as the one that was checked (pandas' index is kept), with three columns
            more: ``_rules`` (names), ``_reasons`` (in words) and ``_row`` (the place in the frame,
            from 1).
        rules: The broken rules, first those of types; a row may break several.
        checked: Rows that were looked at.
        contract: The contract.

    Example:
        >>> rule = RuleCount("n.ge", "n is less than 0", 2, "quarantine")
        >>> failure = Failure(rows=[-1, -5], rules=(rule,), checked=10, contract=Contract())
        >>> bool(failure), len(failure), failure.counts, failure.share
        (True, 2, {'n.ge': 2}, 0.2)
        >>> print(failure)
        2 of 10 rows broke the contract: 2 rows: n is less than 0
    """

    rows: F
    rules: tuple[RuleCount, ...]
    checked: int
    contract: Contract
    _broken: int | None = None
    _error: Callable[[Failure[Any], str], Exception] = field(
        default=_contract_error, repr=False, compare=False
    )

    def __len__(self) -> int:
        """How many rows broke a rule."""
        rows: Any = self.rows
        return len(rows) if self._broken is None else self._broken

    def __bool__(self) -> bool:
        """Whether any row broke a rule."""
        return bool(self.rules)

    @property
    def ok(self) -> bool:
        """Whether no row broke a rule."""
        return not self.rules

    @property
    def counts(self) -> dict[str, int]:
        """Rows by broken rule: ``{"distance.ge": 3}``."""
        return {rule.rule: rule.rows for rule in self.rules}

    @property
    def share(self) -> float:
        """Share of the rows that broke a rule, 0 to 1."""
        return len(self) / self.checked if self.checked else 0.0

    @property
    def refused(self) -> bool:
        """Whether a load of these rows would fail, as the contract says.

        ``fail``: with any such row. ``quarantine``: with more than ``max_rejected`` of them.
        ``warn``: never.
        """
        if any(rule.on_violation == "fail" for rule in self.rules):
            return True
        most = self.contract.max_rejected
        return most is not None and self.share > most

    def __str__(self) -> str:
        """What broke, in numbers; no values."""
        if not self:
            return f"{_rows(self.checked)} checked, none broke the contract"
        said = "; ".join(f"{_rows(rule.rows)}: {rule.reason}" for rule in self.rules)
        return f"{len(self)} of {_rows(self.checked)} broke the contract: {said}"

    def raise_if_any(self) -> None:
        """Raise if any row broke a rule, unless the contract only warns.

        Raises:
            DataValidationError: It carries this failure, with the rows.
        """
        if any(rule.on_violation != "warn" for rule in self.rules):
            raise self._error(self, str(self))

    def raise_if_refused(self) -> None:
        """Raise where a load of these rows would fail; see ``refused``.

        Raises:
            DataValidationError: It carries this failure, with the rows.
        """
        if self.refused:
            raise self._error(self, str(self))


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
