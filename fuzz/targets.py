"""What is fuzzed: each target takes bytes, and raises only where something is wrong with us.

The tests run the same targets over what Hypothesis makes (``tests/security/test_parsers.py``).
"""

# ruff: noqa: S101 - a failed assertion is what a fuzzer looks for

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prefect_etl.config.secrets import redact
from prefect_etl.connectors.files.csv.careful.blocks import Blocks
from prefect_etl.connectors.files.csv.careful.records import Records
from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.connectors.files.json.exact import MOST_DEPTH, Fault, Reader
from prefect_etl.connectors.parquet.layout import folder_name
from prefect_etl.core.cursor import Cursor
from prefect_etl.core.naming import snake_case
from prefect_etl.core.sql import identifier, literal
from prefect_etl.errors import ConfigError, SourceReadError
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.spec.connection import Connections
from prefect_etl.pipeline.spec.document import Mistake, parse
from prefect_etl.pipeline.spec.environment import Expansion

_LAYOUTS = tuple(
    Layout(delimiter=delimiter, quote=quote, escape=escape, comment=comment, encoding=encoding)
    for delimiter, quote, escape in ((",", '"', '"'), (";", "'", "\\"), ("||", "", ""))
    for comment in ("", "#")
    for encoding in ("utf-8", "utf-16-le", "cp1252", "gb18030")
)
_ROOT = Path("/nowhere")


def csv(data: bytes) -> None:
    """Records are found or put aside with their line, and lines only go up."""
    choice, text = (data[0], data[1:]) if data else (0, b"")
    layout = _LAYOUTS[choice % len(_LAYOUTS)]
    for mend in (False, True):
        try:
            records = Records(Blocks(io.BytesIO(text), layout.encoding), layout, 2, mend=mend)
            lines = [line for piece in records for line in piece.lines]
        except SourceReadError:
            continue
        assert lines == sorted(set(lines))
        assert all(fault.line > 0 and fault.reason for fault in records.faults)


def json_value(data: bytes) -> None:
    """What Python's reader takes, constants aside, is taken; what it refuses is refused."""
    text = data.decode("utf-8", "replace")
    try:
        Reader().value(text)
        taken = True
    except Fault:
        taken = False
    try:
        json.loads(text, parse_constant=_refused, parse_int=str)
        expected = True
    except (ValueError, RecursionError):
        expected = False
    assert taken == expected or text.count("[") + text.count("{") > MOST_DEPTH, text


def _refused(word: str) -> None:
    raise ValueError(word)


def pipeline(data: bytes) -> None:
    """A pipeline file is a pipeline, or wrong in words."""
    try:
        document = parse(data.decode("utf-8", "replace"), "fuzz.yaml")
    except ConfigError:
        return
    if isinstance(document.value, dict):
        mapping(document.value)


def mapping(value: dict[Any, Any]) -> None:
    """So is any mapping that is given in Python."""
    fields = ("name", "destination", "sources", "transformations")
    known = {str(key): part for key, part in value.items() if key in fields}
    with suppress(ConfigError):
        pipeline_from(root=_ROOT, **{"name": "p", "destination": "memory://x"} | known)


def uri(data: bytes) -> None:
    """A connection's URI is one, or wrong in words; its password is not shown in either case."""
    text = data.decode("utf-8", "replace")
    mistakes: list[Mistake] = []
    found = Connections(_ROOT, {}, Expansion({})).resolve(text, ("connection",), mistakes)
    assert (found is None) == bool(mistakes), text
    if found is not None:
        assert isinstance(found.config.display, str)


def environment(data: bytes) -> None:
    """What is expanded is not looked at again."""
    text = data.decode("utf-8", "replace")
    expansion = Expansion({"A": "${B}", "B": "b"})
    found = expansion.expand({"k": text}, ())
    assert isinstance(found["k"], str)
    assert text.replace("${A}", "") != "" or "${B}" in found["k"] or "${A}" not in text


def cursor(data: bytes) -> None:
    """A cursor, or a mistake that pydantic tells."""
    text = data.decode("utf-8", "replace")
    for value in (text, {"column": "c", "lag": text}):
        try:
            str(Cursor.model_validate(value))
        except ValidationError:
            continue


def names(data: bytes) -> None:
    """Names and values keep what they are, however they are spelled."""
    text = data.decode("utf-8", "replace")
    assert snake_case(snake_case(text)) == snake_case(text)
    folder = folder_name(text)
    assert "/" not in folder
    assert folder not in (".", "..")
    if "\0" not in text:
        assert identifier(text)[1:-1].replace('""', '"') == text
        assert literal(text)[1:-1].replace("''", "'") == text


def secrets(data: bytes) -> None:
    """Hiding twice is hiding once."""
    text = redact(data.decode("utf-8", "replace"))
    assert redact(text) == text


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (csv, json_value, pipeline, uri, environment, cursor, names, secrets)
}
