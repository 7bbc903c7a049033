"""Makes the dataset of a copy from what its user asked for."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from prefect_etl.connectors.relational import DatabaseDataset
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.copying.ends import Reading
from prefect_etl.pipeline.copying.request import Request

PIPELINE = "copy"
MODES = ("append", "replace", "merge", "scd2")
# A copy is one pass, so a table is one piece.
_ALL_ROWS = 1 << 62
# What people call the fields of a dataset on the command line.
_OPTIONS = {"write": "--mode", "table_": "--table", "filter": "--where", "columns": "--columns"}


def mode_of(request: Request) -> str | None:
    """How rows are written; None where the table must be new.

    Raises:
        ConfigError: There is no such mode.

    Example:
        >>> mode_of(Request("a", "b", key=("id",))), mode_of(Request("a", "b"))
        ('merge', None)
    """
    mode = request.mode
    if mode is not None and mode not in MODES:
        raise ConfigError(
            f"--mode: there is no mode {mode}{did_you_mean(mode, MODES)}",
            hint=f"Give one of {', '.join(MODES)}.",
        )
    if mode is None and request.key:
        return "merge"
    return "append" if mode is None and request.cursor else mode


def dataset_of(request: Request, reading: Reading, *, named: bool = True) -> DatasetSpec:
    """The dataset: what is read of the source, and which table it becomes.

    Args:
        request: What was asked for.
        reading: Where it is read.
        named: Whether it becomes a table, which has a name.

    Raises:
        ConfigError: The options do not go together.
    """
    connector = reading.connection.connector
    model = connector.dataset
    fields = set(model.model_fields) if model is not None and connector.source is not None else ()
    if model is None or not {"path", "table_"} & {*fields}:
        raise ConfigError(f"SOURCE: {connector.name} cannot be copied from")
    schema, table = (
        _target(request, reading) if named else (None, reading.label or request.table or "query")
    )
    mode = mode_of(request)
    if request.missing == "delete" and request.cursor:
        raise ConfigError(
            "--missing delete needs the whole table, and --cursor reads a part of it",
            hint="Leave --cursor out. A pipeline can do both: it reads the keys of all rows, too.",
        )
    given: dict[str, Any] = {
        "name": table,
        "into": table,
        "schema": schema,
        # With a cursor a replacement is a beginning: the table is emptied, and later copies go on.
        "write": "append" if mode in (None, "replace") and request.cursor else mode or "append",
        "key": request.key,
        "cursor": _cursor(request),
        "missing": request.missing,
        "columns": {"select": request.columns},
        "unit_column": False,
        "adopt": mode is not None,
        **_read(request, reading, fields),
    }
    try:
        return model.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        said = "; ".join(_said(part) for part in error.errors(include_url=False))
        raise ConfigError(said, hint="`prefect-etl copy --help` has examples.") from error


def _said(fault: Any) -> str:
    text = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    name = str(fault["loc"][0]) if fault["loc"] else ""
    option = _OPTIONS.get(name, f"--{name.rstrip('_')}") if name else ""
    return f"{option}: {text}" if option else text


def _cursor(request: Request) -> dict[str, Any] | str | None:
    if request.cursor is None:
        if request.lag is not None:
            raise ConfigError("--lag says how late rows of a --cursor come, and there is none")
        return None
    lag = request.lag
    whole = int(lag) if isinstance(lag, str) and lag.isdigit() else lag
    return request.cursor if lag is None else {"column": request.cursor, "lag": whole}


def _read(request: Request, reading: Reading, fields: Any) -> dict[str, Any]:
    """The fields that say what is read."""
    if reading.path is not None:
        if request.table or request.query:
            option = "--table" if request.table else "--query"
            raise ConfigError(
                f"{option} is for databases, and SOURCE is a file",
                hint="Say --into for the table's name.",
            )
        found: dict[str, Any] = {"path": reading.path, "format": request.format}
        found |= {"where": request.where, "trusted": request.trusted or None}
        return found | ({"bad_rows": "fail"} if "bad_rows" in fields else {})
    if request.trusted:
        raise ConfigError("--trusted is for files, and SOURCE is a database")
    if (request.table is None) == (request.query is None):
        raise ConfigError(
            "say what to copy: --table NAME or --query SQL, one of them",
            hint="`prefect-etl connections discover URI` lists the tables.",
        )
    if "query" not in fields:
        if request.query is not None:
            raise ConfigError(f"SOURCE: {reading.connection.connector.name} has no queries")
        return {"table": request.table, "where": request.where}
    return {
        "table": request.table,
        "query": request.query,
        "filter": request.where,
        "chunk_rows": _ALL_ROWS,
    }


def _target(request: Request, reading: Reading) -> tuple[str | None, str]:
    """Schema and name of the table to write; without --into as the source calls it."""
    if request.into is not None:
        schema, _, name = request.into.rpartition(".")
        return schema or None, name
    if request.table is not None:
        schema, _, name = request.table.rpartition(".")
        same = schema in ("", reading.connection.config.default_schema)
        return None if same else schema, name
    name = (reading.label or "").partition(".")[0]
    if request.query is not None or reading.once or not name.replace("*", ""):
        raise ConfigError("say --into: the name of the table to write")
    if any(sign in name for sign in "*?["):
        raise ConfigError(
            f"say --into: {reading.label} may be many files, of one table",
        )
    return None, name


def is_again(spec: DatasetSpec) -> bool:
    """Whether a source is read anew each time, and nothing of it is remembered but the rows."""
    return isinstance(spec, DatabaseDataset) and not spec.incremental
