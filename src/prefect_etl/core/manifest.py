"""The manifest of a batch in the raw zone, and the record of a load.

Both are JSON. A manifest is published together with its Parquet file, by one rename: where there
is a manifest, the file is whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from prefect_etl.core.aside import Repair
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Batch, Unit

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ExtractedUnit:
    """A unit in a batch's Parquet file: rows ``first_row`` to ``first_row + rows - 1``, from 0.

    ``rejected`` records more could not be read as rows; they are in the file of rejects beside it.
    """

    unit: Unit
    first_row: int
    rows: int
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one Parquet file of the raw zone holds.

    Attributes:
        batch_id: The folder's name; unique.
        dataset: The dataset's name.
        extends: The ledger version that the run which wrote it meant to extend.
        lineage: The history of that version; None before the first load.
        run_id: The run that wrote it.
        units: In the order of their rows; the column ``_etl_unit`` holds the index into it where
            there is more than one.
        schema: The source's columns with the types that they had there. Types that Parquet cannot
            hold exactly are stored as text and cast back.
        reading: How the units were read.
        bytes: Size of the Parquet file.
        created_ns: When reading began, nanoseconds since the epoch.
        repairs: What was mended on the way.
    """

    batch_id: str
    dataset: str
    extends: int
    lineage: str | None
    run_id: str
    units: tuple[ExtractedUnit, ...]
    schema: TableSchema
    bytes: int
    created_ns: int
    reading: Mapping[str, Any] = field(default_factory=dict)
    repairs: tuple[Repair, ...] = ()

    @property
    def rejected(self) -> int:
        """Records that could not be read as rows."""
        return sum(entry.rejected for entry in self.units)

    @property
    def rows(self) -> int:
        """Rows in the file."""
        return sum(entry.rows for entry in self.units)

    @property
    def packed(self) -> bool:
        """Whether the file holds several units and so the column ``_etl_unit``."""
        return len(self.units) > 1

    def answers(self, batch: Batch) -> bool:
        """Whether it holds just what the batch asks for."""
        mine = [entry.unit.identity for entry in self.units]
        return mine == [unit.identity for unit in batch.units] and self.reading == batch.reading

    def to_json(self) -> str:
        """As JSON text."""
        data = asdict(self) | {"format": FORMAT, "schema": self.schema.pairs()}
        return json.dumps(data, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """From JSON text.

        Raises:
            ValueError: Not a manifest, or one of a later format.
        """
        data = json.loads(text)
        if data.pop("format", None) != FORMAT:
            raise ValueError("not a manifest of this version of prefect_etl")
        data["schema"] = TableSchema.from_pairs(tuple(pair) for pair in data["schema"])
        data["units"] = tuple(
            ExtractedUnit(**entry | {"unit": Unit(**entry["unit"])}) for entry in data["units"]
        )
        data["repairs"] = tuple(Repair(**repair) for repair in data["repairs"])
        return cls(**data)


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """Which batches made a version of a table: what a replay needs.

    Written to the raw zone after the commit, and made again from the ledger where that was missed.

    Attributes:
        version: The ledger version that the load made.
        lineage: The history it belongs to.
        batches: Their ids, in the order of their units.
        run_id: The run that loaded.
        refresh: Whether the load began from an empty table.
        committed_ns: When, nanoseconds since the epoch.
    """

    version: int
    lineage: str
    batches: tuple[str, ...]
    run_id: str
    refresh: bool
    committed_ns: int

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self) | {"format": FORMAT})

    @classmethod
    def from_json(cls, text: str) -> LoadRecord:
        """From JSON text.

        Raises:
            ValueError: Not a load record, or one of a later format.
        """
        data = json.loads(text)
        if data.pop("format", None) != FORMAT:
            raise ValueError("not a load record of this version of prefect_etl")
        return cls(**data | {"batches": tuple(data["batches"])})
