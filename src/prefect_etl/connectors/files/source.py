"""The files of one dataset as a source."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from prefect_etl.connectors.base import Relation, Rows
from prefect_etl.connectors.files.archives.members import wanted_by
from prefect_etl.connectors.files.archives.unpacked import Unpacked
from prefect_etl.connectors.files.config import FilesConnection, FilesDataset, Format, format_of
from prefect_etl.connectors.files.form import Form, Numbering, form_of
from prefect_etl.connectors.files.listing import (
    assert_unchanged,
    list_files,
    now_ns,
    observe,
)
from prefect_etl.connectors.files.parquet.parts import fitted, row_ranges, with_parts
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.positions import (
    content_of,
    file_of,
    is_archive,
    member_of,
    member_position,
)
from prefect_etl.connectors.files.reading import Reading, are_read_alone, nothing, retyped
from prefect_etl.connectors.files.soundness import assert_named
from prefect_etl.core.aside import Aside, Repair
from prefect_etl.core.ledger import KnownUnit, LedgerState
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.engine.duckdb import Session, storage_error
from prefect_etl.errors import EtlError, SourceChangedError, SourceReadError

# Small files are packed until their bytes come to this; a larger file is a batch of its own.
BATCH_BYTES = 128 << 20
BATCH_UNITS = 20_000
_ALL_ROWS = 1 << 62


class FilesSource:
    """Reads the files of one dataset.

    Args:
        connection: The folder.
        dataset: Which files, and how to read them.
        session: The engine that reads them.
    """

    def __init__(
        self, connection: FilesConnection, dataset: FilesDataset, session: Session
    ) -> None:
        self._folder = connection.folder
        self._dataset = dataset
        self._session = session
        wanted = wanted_by(dataset.member, lambda name: self._kind(name) is not None)
        unpacked = Unpacked(
            connection.folder,
            session.scratch,
            wanted,
            limited=not dataset.trusted,
            mended=dataset.bad_rows == "repair",
        )
        self.place = Place(session, connection.folder, dataset, unpacked)

    def units(self, state: LedgerState) -> list[Unit]:
        """All files there are, in the order of their paths.

        Raises:
            SourceReadError: There is none, and none was ever loaded; or one cannot be read.
        """
        paths = list_files(self._folder, self._dataset)
        if not paths and (not state.units or self._dataset.write == "replace"):
            raise SourceReadError(
                f"dataset {self._dataset.name}: no file matches {self._dataset.path} "
                f"in {self._folder}",
                hint="Check path and connection in the pipeline file, or put a file there.",
            )
        return [unit for path in paths for unit in self._observed(path, state)]

    def _observed(self, path: str, state: LedgerState) -> list[Unit]:
        if is_archive(path):
            return self._members(path, state)
        unit = observe(self._folder, path, state)
        with self._translated([path]):
            return with_parts(self.place, unit, state.units, self._kind(path))

    def _members(self, archive: str, state: LedgerState) -> list[Unit]:
        """The members of an archive: those that the ledger knows, where it looks as it did."""
        prefix = member_position(archive, "")
        known = [known for position, known in state.units.items() if position.startswith(prefix)]
        status = (self._folder / archive).stat()
        as_before = state.fingerprint == self._dataset.fingerprint
        if known and as_before and all(looks_same(unit, status) for unit in known):
            return [unit.unit for unit in known]
        whole = observe(self._folder, archive, LedgerState())
        found = []
        for position, size in self.place.unpacked.members(archive):
            # The archive's own size is a part of the version, so that it can be compared.
            version = f"{whole.version}-{whole.size}"
            member = Unit(position, version, size=size, modified_ns=whole.modified_ns)
            with self._translated([position]):
                kind = self._kind(position)
                found += with_parts(self.place, member, state.units, kind)
        return found

    def batches(self, units: Sequence[Unit], state: LedgerState) -> list[Batch]:
        """Group files that are read alike; small ones share a batch.

        Raises:
            SourceReadError: A file cannot be read as its format says.
        """
        if not units:
            return []
        parts = _by_file(units)
        files = [members[0] for members in parts.values()]
        with self._translated([unit.position for unit in files]):
            form = form_of(self._format(files))
            groups = self._detected(form, files)
            for reading, members in groups:
                assert_named(reading, members)
        batches = []
        for reading, members in groups:
            settled = form.settle(self.place, reading, state.schema)
            batches += _packed([m for m in members if len(parts[m.position]) == 1], settled)
            for member in members:
                batches += self._in_parts(member, parts[member.position], settled)
        order = {unit.position: index for index, unit in enumerate(units)}
        return sorted(batches, key=lambda batch: order[batch.units[0].position])

    def _detected(self, form: Form, files: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:
        """How files are read; of those that are damaged, what is left where that is wanted."""
        import duckdb

        try:
            return form.detect(self.place, files)
        except (OSError, duckdb.Error, SourceReadError):
            if self._dataset.bad_rows != "repair":
                raise
        for unit in files:
            self.place.unpacked.assert_whole(unit.position)
        return form.detect(self.place, files)

    def _in_parts(self, file: Unit, parts: Sequence[Unit], reading: Reading) -> list[Batch]:
        """Each part of a large file as a batch of its own."""
        if len(parts) == 1:
            return []
        kind = self._kind(file.position)
        ranges = row_ranges(self.place, file, kind) or [(0, _ALL_ROWS)]
        return [
            Batch((replace(part, first_row=rows[0]),), replace(reading, rows=rows).as_dict())
            for part, rows in zip(parts, fitted(ranges, len(parts)), strict=True)
        ]

    def schema(self, batch: Batch) -> TableSchema | None:
        """The columns that the batch will give; None for Arrow files, which tell on reading."""
        reading = Reading.from_dict(batch.reading)
        return None if reading.format == "arrow" else reading.columns

    def refine(
        self, batches: Sequence[Batch], failed: Batch, table: TableSchema | None = None
    ) -> list[Batch] | None:
        """Better readings, after a batch could not be read as it was guessed."""
        reading = Reading.from_dict(failed.reading)
        place = replace(self.place, table=table)
        with self._translated([file_of(unit.position) for unit in failed.units]):
            better = form_of(reading.format).better(place, reading, failed.units)
        if not better:
            return None
        refined = []
        for batch in batches:
            old = Reading.from_dict(batch.reading)
            new = old.with_columns(retyped(old.columns, better.types))
            if batch == failed:
                new = replace(new, options={**new.options, **better.options})
            refined.append(Batch(batch.units, new.as_dict()))
        return refined

    @contextmanager
    def read(self, batch: Batch) -> Iterator[Rows]:
        """Open the files of a batch.

        Raises:
            SourceReadError: One cannot be read as its format says, is truncated or corrupt.
            SourceChangedError: One changed while it was read.
        """
        started = now_ns()
        reading = Reading.from_dict(batch.reading)
        paths = [file_of(unit.position) for unit in batch.units]
        repairs = self._whole(batch.units)
        with self._translated(paths):
            if reading.empty:
                yield Relation(nothing(reading.columns))
            else:
                form = form_of(reading.format)
                with form.rows(self.place, reading, batch.units) as rows:
                    yield _with_repairs(rows, repairs)
        for unit in batch.units:
            assert_unchanged(self._folder, _on_disk(unit), started)

    def lines(
        self, unit: Unit, rows: Sequence[int], reading: Mapping[str, Any] | None = None
    ) -> Sequence[int | None]:
        """The first lines of some rows of a file; None where it changed, or has no lines."""
        started, unknown = now_ns(), [None] * len(rows)
        if reading is None:
            reading = self.batches([unit], LedgerState())[0].reading
        how = Reading.from_dict(reading)
        form = form_of(how.format)
        if not isinstance(form, Numbering):
            return unknown
        try:
            with self._translated([unit.position]):
                found = form.lines(self.place, how, unit, rows)
            assert_unchanged(self._folder, _on_disk(unit), started)
        except SourceChangedError:
            return unknown
        return found

    def _whole(self, units: Sequence[Unit]) -> list[Repair]:
        """Make sure that compressed files are whole; what was mended where they are not."""
        repairs = []
        for unit in units:
            self.place.unpacked.assert_whole(unit.position)
            repairs.append(self.place.unpacked.repair(unit.position))
        return [repair for repair in repairs if repair is not None]

    def close(self) -> None:
        """Remove what was unpacked."""
        self.place.unpacked.close()

    def _kind(self, path: str) -> Format | None:
        return self._dataset.format or format_of(path)

    def _format(self, units: Sequence[Unit]) -> Format:
        formats = {self.place.kind(unit): unit.position for unit in units}
        if len(formats) > 1:
            raise SourceReadError(
                f"dataset {self._dataset.name} has files of several formats: "
                + ", ".join(sorted(formats.values())),
                hint="Give each format a dataset of its own, or say which it is with format:.",
            )
        return next(iter(formats))

    @contextmanager
    def _translated(self, paths: Sequence[str]) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whose it is, is asked when there is one: imports take time
            translated = self._translation(error, paths)
            if translated is None:
                raise
            raise translated from error

    def _translation(self, error: Exception, paths: Sequence[str]) -> EtlError | None:
        import duckdb
        import pyarrow as pa

        if isinstance(error, EtlError | duckdb.InterruptException):
            return None
        if isinstance(error, duckdb.OutOfMemoryException):
            return storage_error(error, self._dataset.name)
        if isinstance(error, duckdb.Error | pa.ArrowException | OSError):
            return _read_error(str(error), paths, self._dataset.name)
        return None


def _on_disk(unit: Unit) -> Unit:
    """The file that a unit is, or is in, as it was observed."""
    file = file_of(unit.position)
    if member_of(unit.position) is None:
        return replace(unit, position=file)
    version, _, size = unit.version.rpartition("-")
    return replace(unit, position=file, version=version, size=int(size))


def looks_same(known: KnownUnit, status: os.stat_result) -> bool:
    """Whether the archive that a known member is in looks as it did."""
    whole = replace(known, unit=_on_disk(known.unit))
    return whole.looks_same(status.st_size, status.st_mtime_ns)


def _with_repairs(rows: Rows, repairs: Sequence[Repair]) -> Rows:
    if not repairs:
        return rows
    told = rows.aside or Aside

    def aside() -> Aside:
        found = told()
        return replace(found, repairs=(*repairs, *found.repairs))

    return replace(rows, aside=aside)


def _by_file(units: Sequence[Unit]) -> dict[str, list[Unit]]:
    """Units by the path of their file, which is the position of the first one of each."""
    found: dict[str, list[Unit]] = {}
    for unit in units:
        found.setdefault(content_of(unit.position), []).append(unit)
    return found


def _packed(units: Sequence[Unit], reading: Reading) -> list[Batch]:
    most = 1 if are_read_alone(reading) else BATCH_UNITS
    batches: list[Batch] = []
    current: list[Unit] = []
    size = 0
    for unit in units:
        if current and (size + (unit.size or 0) > BATCH_BYTES or len(current) >= most):
            batches.append(Batch(tuple(current), reading.as_dict()))
            current, size = [], 0
        current.append(unit)
        size += unit.size or 0
    return [*batches, Batch(tuple(current), reading.as_dict())] if current else batches


def _read_error(text: str, paths: Sequence[str], dataset: str) -> SourceReadError:
    # DuckDB names the file and explains at length; the first lines say what is wrong.
    named = next((path for path in paths if path in text), paths[0] if len(paths) == 1 else None)
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    said = "; ".join(line.rstrip(".") for line in lines[:3] if not line.startswith("LINE "))
    where = f"{dataset}: {named}" if named else f"{dataset}: one of {len(paths)} files"
    hint = "Mend the file, or say how to read it (format, delimiter, quote, header, skip, nulls, "
    hint += "types). Nothing of it was loaded."
    if "compressed" in said.lower():
        hint = "Fetch the file again, or load the whole lines before the damage with bad_rows: "
        hint += "repair. Nothing of it was loaded."
    return SourceReadError(f"{where} cannot be read: {said}", hint=hint)
