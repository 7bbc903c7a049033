"""Numbers the units of a load, in the order in which later ones win."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.manifest import ExtractedUnit, Manifest
from prefect_etl.core.unit import replayed_from
from prefect_etl.pipeline.prepare import RawFile
from prefect_etl.pipeline.rejected import Origin
from prefect_etl.storage.raw_zone import DatasetZone


@dataclass(frozen=True, slots=True)
class Numbered:
    """The raw files of a load with their units."""

    files: tuple[RawFile, ...]
    units: tuple[tuple[int, Manifest, int], ...]

    def extracted(self) -> Iterator[tuple[int, ExtractedUnit]]:
        """Each unit with its number."""
        for number, manifest, index in self.units:
            yield number, manifest.units[index]

    def read(self) -> dict[int, int]:
        """Rows by unit id."""
        return {number: entry.rows for number, entry in self.extracted()}

    def rejected(self) -> dict[int, int]:
        """Records by unit id that could not be read as rows."""
        return {number: entry.rejected for number, entry in self.extracted() if entry.rejected}

    def origins(self) -> list[Origin]:
        """Where the rows of each unit are."""
        return [
            Origin(number, entry.unit.position, entry.first_row - entry.unit.first_row)
            for number, entry in self.extracted()
        ]


def number(
    zone: DatasetZone, manifests: Sequence[Manifest], spec: DatasetSpec, state: LedgerState
) -> Numbered:
    """Number units by position: of two versions of a key the later file wins.

    Rows from quarantine get the number of the file that they were in, where rows carry it: so they
    are replaced with that file's other rows.

    Args:
        zone: Where the batches are.
        manifests: The batches.
        spec: The dataset.
        state: What the ledger knows of its table.
    """
    places = [(m, i) for m in manifests for i in range(len(m.units))]
    places.sort(key=lambda place: place[0].units[place[1]].unit.position)
    fresh = iter(range(state.next_unit_id, state.next_unit_id + len(places)))
    numbers: dict[tuple[str, int], int] = {}
    for manifest, index in places:
        known = state.units.get(replayed_from(manifest.units[index].unit.position) or "")
        taken = known.unit_id if known and spec.carries_unit else None
        numbers[manifest.batch_id, index] = next(fresh) if taken is None else taken
    files = tuple(
        RawFile(
            m, zone.data(m.batch_id), tuple(numbers[m.batch_id, i] for i in range(len(m.units)))
        )
        for m in manifests
    )
    units = sorted(((numbers[m.batch_id, i], m, i) for m, i in places), key=lambda unit: unit[0])
    return Numbered(files, tuple(units))
