"""Says errors in the words of a copy, which has options and no pipeline file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import EtlError, SchemaError

_FIELDS = {
    "table": "--table",
    "query": "--query",
    "filter": "--where",
    "where": "--where",
    "connection": "SOURCE",
} | {name: f"--{name}" for name in ("cursor", "key", "columns", "into", "lag", "missing")}
_FIELD = re.compile(rf"\b({'|'.join(_FIELDS)}):(?!\S)")
_FILE = re.compile(r"(,? and connection)? in the pipeline file")


def in_words_of_a_copy(text: str) -> str:
    """A hint with options in the place of fields.

    Example:
        >>> in_words_of_a_copy("Check table: and cursor: in the pipeline file.")
        'Check --table and --cursor.'
    """
    return _FILE.sub("", _FIELD.sub(lambda match: _FIELDS[match[1]], text))


@contextmanager
def spoken() -> Iterator[None]:
    """Change the hints of errors that are raised within."""
    try:
        yield
    except EtlError as error:
        if error.hint:
            error.hint = in_words_of_a_copy(error.hint)
        raise


def assert_named(
    asked: Sequence[tuple[str, Iterable[str]]], known: Sequence[str], label: str
) -> None:
    """Refuse options that name a column which is not there.

    Args:
        asked: Options and the columns that they name.
        known: The columns that there are.
        label: What is read.

    Raises:
        SchemaError: With the nearest right name.
    """
    present = {name.lower() for name in known}
    for option, names in asked:
        for name in names:
            if name.lower() not in present:
                raise SchemaError(
                    f"{option}: {label} has no column {name}{did_you_mean(name, known)}",
                    hint=f"It has {', '.join(known)}.",
                )
