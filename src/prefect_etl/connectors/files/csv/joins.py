"""Finds files that were put together from several, each with its header and its first bytes."""

from __future__ import annotations

from collections.abc import Sequence

from prefect_etl.connectors.files.csv.careful.blocks import BOM
from prefect_etl.connectors.files.csv.footing import total_test
from prefect_etl.connectors.files.csv.opinion import DELIMITERS
from prefect_etl.connectors.files.csv.scan import as_text, csv_source
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Unit


def is_joined(text: str, skip: int) -> bool:
    r"""Whether a text has its first line once more, or marks of files within.

    Example:
        >>> is_joined("a,b\n1,2\na,b\n3,4\n", 0), is_joined("a,b\n1,2\n", 0)
        (True, False)
    """
    if f"\n{BOM}" in text:
        return True
    *_, rest = text.split("\n", skip)
    header, _, rows = rest.partition("\n")
    header = header.strip("\r")
    if not any(sign in header for sign in DELIMITERS) or header not in rows:
        return False
    return f"\n{header}\n" in f"\n{rows}\n" or f"\n{header}\r\n" in f"\n{rows}"


def unread(columns: TableSchema) -> str | None:
    """SQL: whether a row is none but would be read as one: a header again, or a mark before it.

    None where there is none that its types do not tell.
    """
    pairs = list(columns.pairs())
    (first, kind), (last, _) = pairs[0], pairs[-1]
    if kind != "VARCHAR":
        return None
    tests = [f"starts_with({identifier(first)}, {literal(BOM)})"]
    told = any(kind != "VARCHAR" and not _has_digit(name) for name, kind in pairs)
    if len(pairs) > 1 and not told:
        same = " AND ".join(f"{identifier(name)} = {literal(name)}" for name in (first, last))
        tests.append(f"({same})")
    return " OR ".join(tests)


def _has_digit(name: str) -> bool:
    return any(map(str.isdigit, name))


def needs_care(place: Place, reading: Reading, units: Sequence[Unit]) -> bool:
    """Whether files have such records, or totals, of files that the fast reader reads."""
    source = csv_source(as_text(reading, reading.columns.names), place.scanned(units))
    names = reading.columns.names
    first, second = identifier(names[0]), identifier(names[1]) if len(names) > 1 else None
    tests = [f"starts_with({first}, {literal(BOM)})", total_test(first, second)]
    if len(names) > 1:
        # A second column of a name was given a longer one.
        cells = [f"coalesce(trim({identifier(name)}), '')" for name in names]
        pairs = zip(names, cells, strict=True)
        same = " AND ".join(f"starts_with({literal(name)}, {cell})" for name, cell in pairs)
        tests.append(f"({same} AND concat({', '.join(cells)}) <> '')")
    return bool(place.session.query(f"SELECT 1 FROM {source} WHERE {' OR '.join(tests)} LIMIT 1"))
