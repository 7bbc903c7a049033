"""Contracts from pandera's models: what has a counterpart is converted, the rest refused by name.

See https://pandera.readthedocs.io for what its checks mean; rules here are asked in SQL, so a check
that is a Python function has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect_etl.connectors.user_function import is_reference, load_object
from prefect_etl.core.contract import Contract
from prefect_etl.errors import ConfigError

_TYPES = (
    ("int", "BIGINT"),
    ("uint", "UBIGINT"),
    ("float", "DOUBLE"),
    ("double", "DOUBLE"),
    ("str", "VARCHAR"),
    ("utf8", "VARCHAR"),
    ("object", "VARCHAR"),
    ("bool", "BOOLEAN"),
    ("datetime", "TIMESTAMP"),
    ("timestamp", "TIMESTAMP"),
    ("date", "DATE"),
)
_BOUNDS = {
    "greater_than_or_equal_to": ("ge", "min_value"),
    "greater_than": ("gt", "min_value"),
    "less_than_or_equal_to": ("le", "max_value"),
    "less_than": ("lt", "max_value"),
}


def contract_of(model: Any) -> Contract:
    """The contract that a pandera ``DataFrameModel`` or ``DataFrameSchema`` says.

    Args:
        model: Of the backend for pandas or Polars.

    Raises:
        ConfigError: It is none, or has a check that cannot be asked in SQL.
    """
    schema = model.to_schema() if hasattr(model, "to_schema") else model
    if not hasattr(schema, "columns") or not hasattr(schema, "checks"):
        raise ConfigError(
            f"{getattr(model, '__name__', model)!s} is no pandera model",
            hint="Name a DataFrameModel or a DataFrameSchema: models:Flights.",
        )
    if schema.checks:
        raise _refused("the model", schema.checks[0])
    columns = {str(name): _rules(str(name), column) for name, column in schema.columns.items()}
    unique = [schema.unique] if isinstance(schema.unique, str) else list(schema.unique or ())
    table = {"table": {"unique": [unique]}} if unique else {}
    return Contract.model_validate({"columns": columns, **table})


def with_model(contract: Contract, root: Path) -> Contract:
    """A contract with the rules of the model that it names; its own come before those.

    Raises:
        ConfigError: There is no such model, or it cannot be converted.
    """
    if contract.pandera is None:
        return contract
    if not is_reference(contract.pandera):
        raise ConfigError(
            f"contract: pandera: {contract.pandera} is not module:name",
            hint="Name the model and its module, relative to the pipeline file: models:Flights.",
        )
    model = contract_of(load_object(contract.pandera, root))
    return contract.model_copy(
        update={
            "columns": {**model.columns, **contract.columns},
            "table": contract.table or model.table,
        }
    )


def _rules(name: str, column: Any) -> dict[str, Any]:
    rules: dict[str, Any] = {"nullable": bool(column.nullable)}
    if column.dtype is not None:
        rules["type"] = _type(name, str(column.dtype))
    if column.unique:
        rules["unique"] = True
    for check in column.checks:
        for rule, value in _converted(name, check).items():
            if rule in rules:
                raise ConfigError(
                    f"pandera: {name} has two checks for {rule}", hint="Leave one of them out."
                )
            rules[rule] = value
    return rules


def _type(name: str, dtype: str) -> str:
    lower = dtype.lower()
    found = next((kind for prefix, kind in _TYPES if lower.startswith(prefix)), None)
    if found is None:
        raise ConfigError(
            f"pandera: {name} is {dtype}, which no type here is",
            hint="Leave its type out of the model, and give it with types: in the pipeline file.",
        )
    return found


def _converted(name: str, check: Any) -> Mapping[str, Any]:
    stats = check.statistics or {}
    match check.name:
        case known if known in _BOUNDS:
            rule, value = _BOUNDS[known]
            return {rule: stats[value]}
        case "equal_to":
            return {"isin": [stats["value"]]}
        case "isin":
            return {"isin": list(stats["allowed_values"])}
        case "in_range":
            low = "ge" if stats.get("include_min", True) else "gt"
            high = "le" if stats.get("include_max", True) else "lt"
            return {low: stats["min_value"], high: stats["max_value"]}
        case "str_matches":  # it matches at the beginning only
            pattern = stats["pattern"]
            return {"pattern": f"(?s)(?:{getattr(pattern, 'pattern', pattern)}).*"}
        case "str_length":
            exact = stats.get("exact_value")
            lengths = {
                "min_length": stats.get("min_value"),
                "max_length": stats.get("max_value"),
            }
            if exact is not None:
                lengths = {"min_length": exact, "max_length": exact}
            return {rule: value for rule, value in lengths.items() if value is not None}
    raise _refused(name, check)


def _refused(where: str, check: Any) -> ConfigError:
    return ConfigError(
        f"pandera: the check {check.name or check} of {where} has no counterpart in SQL here",
        hint="Leave it out of the model, and say it under rows: as a SQL condition.",
    )
