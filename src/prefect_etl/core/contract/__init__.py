"""Contracts: what rows and tables must be, as values, and as SQL.

A contract compiles to one predicate a rule. All rules on rows are evaluated in one scan by the
engine; a rule never looks at rows one by one in Python. Rules on the whole table are asked of the
destination within the load's transaction, before it is published.
"""

from __future__ import annotations

from prefect_etl.core.contract.bounds import Moment, bound_sql
from prefect_etl.core.contract.compiling import Rule, compile_rules
from prefect_etl.core.contract.fitting import assert_fits
from prefect_etl.core.contract.table import TableCheck, table_checks
from prefect_etl.core.contract.values import (
    ColumnRules,
    Contract,
    OnViolation,
    RowRule,
    Share,
    TableRules,
)

__all__ = [
    "ColumnRules",
    "Contract",
    "Moment",
    "OnViolation",
    "RowRule",
    "Rule",
    "Share",
    "TableCheck",
    "TableRules",
    "assert_fits",
    "bound_sql",
    "compile_rules",
    "table_checks",
]
