"""Finds what parts of a pipeline claim of its destination and cannot have."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from prefect_etl.connectors.base import Connector
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.pipeline.spec.document import Mistake, Place, dotted

# Where a destination keeps its ledger.
_RESERVED_SCHEMA = "_prefect_etl"
# Bytes of a name as a folder is called; file systems take 255.
_LONGEST = 240


def claim_mistakes(
    parts: Sequence[tuple[Place, DatasetSpec | TransformationSpec]], default_schema: str
) -> list[Mistake]:
    """What two parts of a pipeline both claim, and tables that nobody may have.

    Names are compared as databases and some file systems do, without regard to case.

    Args:
        parts: Datasets and transformations, each with its place.
        default_schema: The schema of tables that name none.

    Example:
        >>> first, second = DatasetSpec(name="a", into="t"), TransformationSpec(name="T", sql="…")
        >>> parts = [(("datasets", "a"), first), (("transformations", "T"), second)]
        >>> [mistake.text for mistake in claim_mistakes(parts, "main")]
        ['the table main.T is claimed by datasets.a, too; give one of them another name with into:']
    """
    found: list[Mistake] = []
    names: dict[str, Place] = {}
    tables: dict[tuple[str, str], Place] = {}
    for place, part in parts:
        schema = part.schema_ or default_schema
        problem = _illegal(part, schema)
        if problem:
            found.append(Mistake(place, problem))
            continue
        other = names.setdefault(part.name.casefold(), place)
        if other is not place:
            text = f"the name {part.name} is taken by {dotted(other)}; choose another one"
            found.append(Mistake(place, text))
            continue
        other = tables.setdefault((schema.casefold(), part.table.casefold()), place)
        if other is not place:
            table = f"{schema}.{part.table}" if schema else part.table
            text = f"the table {table} is claimed by {dotted(other)}, too"
            found.append(Mistake(place, f"{text}; give one of them another name with into:"))
        aside = part.quarantine_into if isinstance(part, DatasetSpec) else None
        if aside is None:
            continue
        if taken := tables.get((schema.casefold(), aside.casefold())):
            text = f"the table {aside} is claimed by {dotted(taken)}, too; give another name with"
            found.append(Mistake(place, f"{text} quarantine_into:"))
        tables[schema.casefold(), aside.casefold()] = place
    return found


def partition_mistakes(
    parts: Sequence[tuple[Place, DatasetSpec | TransformationSpec]], destination: Connector
) -> list[Mistake]:
    """Datasets that ask for partitions where the destination has none."""
    problem = f"{destination.name} has no partitions; remove partition_by"
    return [
        Mistake(place, problem)
        for place, part in parts
        if isinstance(part, DatasetSpec) and part.partition_by and not destination.partitions
    ]


def _illegal(part: DatasetSpec | TransformationSpec, schema: str) -> str | None:
    aside = part.quarantine_into if isinstance(part, DatasetSpec) else None
    for name in (part.name, schema, part.table, aside or ""):
        try:
            size = len(quote(name, safe=""))
        except UnicodeEncodeError:
            return f"{name!r} is no text that can be written: it has half of a character"
        if size > _LONGEST:
            return (
                f"{name[:20]}… is too long: it makes a folder's name of {size} bytes, and may "
                f"make one of {_LONGEST}"
            )
    if "" in (part.into, part.schema_) or "\0" in schema + part.table + (aside or ""):
        return "into: and schema: must not be empty or contain a NUL character"
    if schema.casefold() == _RESERVED_SCHEMA:
        return f"the schema {_RESERVED_SCHEMA} holds the ledger; choose another one"
    return None
