"""How the records of a JSON file follow each other."""

from __future__ import annotations

from typing import Literal

from prefect_etl.connectors.files.json.exact import Fault, Reader, skip_space

Layout = Literal["newline_delimited", "array", "unstructured"]


def layout_of(head: str, *, whole: bool, lines: bool) -> Layout:
    r"""How records follow each other: a line each, in one list, or one after the other.

    Args:
        head: The beginning of the file.
        whole: Whether that is all of it.
        lines: Whether it is said to be JSON Lines.

    Example:
        >>> layout_of('{"a": 1}\n{"a": 2}\n', whole=True, lines=False)
        'newline_delimited'
        >>> layout_of('[{"a": 1},\n{"a": 2}]', whole=True, lines=False)
        'array'
    """
    start = skip_space(head, 0)
    line, _, rest = head[start:].partition("\n")
    more = bool(rest.strip()) or not whole
    document: Layout = "array" if head.startswith("[", start) else "unstructured"
    if _is_value(line):
        # A list alone in its line is a document; a list in each is a file of records of no kind.
        return "newline_delimited" if document != "array" or (lines and more) else document
    if lines and document != "array" and _is_value(rest.partition("\n")[0]):
        return "newline_delimited"  # the first line is broken, the second is not
    return "newline_delimited" if lines and not _begins_well(head, start) else document


def _is_value(text: str) -> bool:
    try:
        Reader().value(text)
    except Fault:
        return False
    return True


def _begins_well(text: str, start: int) -> bool:
    """Whether a value goes over several lines: its list's first element does, if it is a list."""
    if text.startswith("[", start):
        start = skip_space(text, start + 1)
        if text.startswith("]", start):
            return True
    try:
        Reader().next(text, start)
    except Fault:
        return False
    return True
