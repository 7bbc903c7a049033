"""What is said of files that are no table, or whose first lines are like no others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prefect_etl.connectors.files.config import FilesDataset
from prefect_etl.connectors.files.csv.opinion import is_wrapped
from prefect_etl.errors import SourceReadError

_PAGE = re.compile(r"\s*<(?:!doctype html|html|head|body|\?xml)\b", re.IGNORECASE)


def assert_lines(dataset: FilesDataset, text: str, where: str) -> None:
    """Refuse what a server sends where it cannot send the file, and lines that are quoted whole.

    Raises:
        SourceReadError: It is HTML or XML, or its lines are quoted.
    """
    if dataset.delimiter is None and dataset.quote is None and is_wrapped(text):
        raise SourceReadError(
            f"{where}: each of its lines is quoted as a whole, so that it has one column only",
            hint="Write it again without the outer quotes; if each line is one value, say "
            "delimiter: ',' and quote: '\"'.",
        )
    if _PAGE.match(text):
        raise SourceReadError(
            f"{where} is a page of HTML or XML, no CSV",
            hint="It is probably an error or a login page that was saved under this name: fetch "
            "the file again.",
        )


def unlike(where: str, lines: int, last: Sequence[str] = ()) -> SourceReadError:
    """What is said of first lines that are like no others, of which the last has some fields."""
    if len(last) > 1 and not any(map(str.isdigit, "".join(last))):
        return SourceReadError(
            f"{where}: line {lines} has {len(last)} fields, but the lines below it have others",
            hint="It looks like the names of the columns: mend it, so that there is one for each. "
            f"If it is no header, say skip: {lines}.",
        )
    return SourceReadError(
        f"{where}: its first {lines} lines do not look like the others",
        hint=f"If they are no data, say skip: {lines}; if they are, mend the lines that differ "
        "in their number of fields, or say skip: 0 and delimiter:.",
    )
