"""Writes the rows of a file of quarantine for people and other programs: CSV or Parquet."""

from __future__ import annotations

import re
from pathlib import Path

from prefect_etl.core.sql import identifier, literal
from prefect_etl.engine.duckdb import Session, storage_error
from prefect_etl.errors import ConfigError
from prefect_etl.storage.durable import storage_errors

# What a spreadsheet takes for the beginning of a formula, or skips before one
# (https://owasp.org/www-community/attacks/CSV_Injection).
FORMULA = "^[=+\\-@\\t\\r\\n＝＋－＠]"  # noqa: RUF001 - these are the full-width ones
_LISTS = ("_rules", "_reasons")
_PLAIN = re.compile(
    r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)|BOOLEAN|DATE|TIME.*|UUID"
)


def select_rows(path: str, rule: str | None = None, source: str | None = None) -> str:
    """SQL: the rows of a file of quarantine, in their order.

    Args:
        path: The Parquet file.
        rule: Only those that broke this rule.
        source: Only those of this file or unit.
    """
    conditions = ["TRUE"]
    if rule is not None:
        conditions.append(f"list_contains(_rules, {literal(rule)})")
    if source is not None:
        conditions.append(f"_source = {literal(source)}")
    return f"SELECT * FROM read_parquet({literal(path)}) WHERE {' AND '.join(conditions)}"


def export_rows(session: Session, rows: str, target: Path, *, escape_formulas: bool = False) -> int:
    """Write rows to a new file, as its ending says.

    Args:
        session: The engine.
        rows: SQL, as of :func:`select_rows`.
        target: ``.csv`` or ``.parquet``.
        escape_formulas: Put ``'`` before text that a spreadsheet would take for a formula. It is
            the values that change then, so it has to be asked for.

    Returns:
        How many rows.

    Raises:
        ConfigError: The file is there, or has another ending.
        StorageError: The disk refused.
    """
    import duckdb

    kind = target.suffix.lower().removeprefix(".")
    if kind not in ("csv", "parquet"):
        raise ConfigError(
            f"rows cannot be exported to {target.name}",
            hint="Give the file the ending .csv or .parquet.",
        )
    if target.exists():
        raise ConfigError(f"{target} is there already", hint="Give another name, or remove it.")
    with storage_errors(str(target)), session.cursor() as cursor:
        temporary = target.with_name(f".{target.name}.part")
        try:
            described = cursor.execute(f"DESCRIBE {rows}").fetchall()
            if kind == "csv":
                columns = [_text(name, of, escape_formulas) for name, of, *_ in described]
                rows, how = f"SELECT {', '.join(columns)} FROM ({rows})", "csv, HEADER true"
            else:
                how = "parquet, COMPRESSION zstd"
            copied = cursor.execute(
                f"COPY ({rows}) TO {literal(temporary)} (FORMAT {how})"
            ).fetchone()
            temporary.replace(target)
        except duckdb.Error as error:
            raise storage_error(error, str(target)) from error
        finally:
            temporary.unlink(missing_ok=True)
    return int(copied[0]) if copied else 0


def _text(name: str, kind: str, escape: bool) -> str:
    """A column as CSV shows it."""
    value = identifier(name)
    if name in _LISTS and kind == "VARCHAR[]":
        value = f"array_to_string({value}, '; ')"
    elif _PLAIN.fullmatch(kind):
        return value
    if not escape:
        return f"{value} AS {identifier(name)}"
    shown = f"'{name}" if re.match(FORMULA, name) else name
    text = f"CAST({value} AS VARCHAR)"
    return (
        f"CASE WHEN regexp_matches({text}, {literal(FORMULA)}) THEN '''' || {text} "
        f"ELSE {text} END AS {identifier(shown)}"
    )
