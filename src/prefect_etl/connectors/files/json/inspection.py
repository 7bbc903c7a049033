"""Says what was found out about a file of JSON, and how it will be read."""

from __future__ import annotations

from collections.abc import Iterator

from prefect_etl.connectors.files.form import Explained
from prefect_etl.connectors.files.json.exact import Fault, Reader, skip_space
from prefect_etl.connectors.files.json.layout import Layout
from prefect_etl.connectors.files.json.quick import Trust, trust
from prefect_etl.connectors.files.json.spool import opened
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.inspection import Fact
from prefect_etl.core.unit import Unit

_SAID: dict[Layout, str] = {
    "newline_delimited": "a record in each line",
    "array": "one list of records",
    "unstructured": "one record after the other",
}


def explain(place: Place, unit: Unit) -> Explained:
    """Encoding, layout and where lists of records are.

    Raises:
        SourceReadError: The file cannot be opened, or is not in the encoding that is said.
    """
    with opened(place, unit) as source:
        head = next(source.chunks, b"")
        trusted = trust([head], lines=source.layout == "newline_delimited")
    facts = [
        Fact("encoding", source.encoding.upper() + (" with a byte order mark" * bool(source.mark))),
        Fact("layout", _SAID[source.layout]),
        Fact("nested", place.dataset.nested),
    ]
    notes = []
    if trusted is Trust.NONE:
        notes.append("it has what the fast reader would bend, and is read record by record")
    lists = list(_lists(head.decode("utf-8", "replace"))) if place.dataset.records is None else []
    if lists:
        notes.append(
            "lists in its records make tables of their own with records: " + " | ".join(lists)
        )
    pins = {} if source.encoding == "utf-8" else {"encoding": source.encoding}
    alone = source.layout == "unstructured" and len(lists) == 1
    return Explained(tuple(facts), tuple(notes), pins | ({"records": lists[0]} if alone else {}))


def _lists(head: str) -> Iterator[str]:
    """Paths of lists of objects in the first record."""
    start = skip_space(head, 0)
    if head.startswith("[", start):
        start = skip_space(head, start + 1)
    try:
        record, _ = Reader().next(head, start)
    except Fault:
        return
    yield from _inner(record, [])


def _inner(value: object, path: list[str]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _inner(part, [*path, key])
    elif path and isinstance(value, list) and value and isinstance(value[0], dict):
        yield ".".join(path)
