"""The records of a JSON file one after the other, and what stands in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prefect_etl.connectors.files.json.documents import Document
from prefect_etl.connectors.files.json.found import Found, Together
from prefect_etl.connectors.files.json.layout import Layout
from prefect_etl.connectors.files.json.lines import lines_of, pieces


def records(
    chunks: Iterable[bytes],
    layout: Layout,
    *,
    mend: bool,
    exact: bool,
    within: Sequence[str] = (),
) -> Iterator[Found | Together]:
    """All records of a file.

    Args:
        chunks: Its bytes, in UTF-8.
        layout: How they follow each other.
        mend: Whether bytes that are not UTF-8 are replaced.
        exact: Whether each number must be looked at, so that no records can be read together.
        within: Keys that lead to the records of a document, which is then never held whole.
    """
    if layout == "newline_delimited":
        return lines_of(chunks, mend=mend) if exact else pieces(chunks, mend=mend)
    return Document(chunks, mend=mend, together=not exact).records(within)
