"""What every source promises, as tests."""

# ruff: noqa: S101  # they are tests

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from pydantic import ValidationError

from prefect_etl.connectors.base import ArrowRows, Source
from prefect_etl.connectors.relational import DatabaseDataset
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import KnownUnit, LedgerState
from prefect_etl.core.rows import STREAM, UNIT_INDEX, Relation
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.storage.parquet import write_parquet
from prefect_etl.testing.exercise import SAMPLE, Exercise, Row, multiset, raises, small_session

_FIRST = LedgerState()


def source_conformance(exercise: Exercise) -> type[SourceConformance]:
    """A test class for a source, for pytest to collect."""
    return type(f"Test{exercise.name}Source", (SourceConformance,), {"exercise": exercise})


def read_batch(source: Source, batch: Batch, session: Session) -> list[dict[str, Any]]:
    """All rows of a batch, as another process would read it."""
    batch = Batch(batch.units, json.loads(json.dumps(batch.reading)))
    with source.read(batch) as rows, session.cursor() as cursor, TemporaryDirectory() as folder:
        if isinstance(rows, ArrowRows):
            cursor.register(STREAM, rows.stream)
            found = cursor.sql(rows.select)
            return [dict(zip(found.columns, values, strict=True)) for values in found.fetchall()]
        path = Path(folder) / "rows.parquet"
        relation = _written(rows, batch, session, path) if rows.engine else rows
        cursor.execute(relation.sql, relation.parameters)
        names = [name for name, *_ in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def _written(rows: Relation, batch: Batch, session: Session, path: Path) -> Relation:
    """Rows that another engine writes to a file, as the session reads them there."""
    columns = write_parquet(session, rows, path, batch.units).schema
    restored = ", ".join(
        f"CAST({identifier(c.name)} AS {c.type}) AS {identifier(c.name)}" for c in columns
    )
    return Relation(f"SELECT * REPLACE ({restored}) FROM read_parquet({literal(path)})")


def loaded(source: Source, state: LedgerState) -> LedgerState:
    """The state after all units of a source were loaded."""
    units = [unit for unit in source.units(state) if not unit.transient]
    known = {unit.position: KnownUnit(i, unit, 0) for i, unit in enumerate(units, 1)}
    return LedgerState(state.version + 1, "lineage", known, len(known) + 1)


class SourceConformance:
    """What every source promises; made for one by :func:`source_conformance`."""

    exercise: ClassVar[Exercise]

    def _read_all(self, folder: Path, session: Session) -> list[dict[str, Any]]:
        source = self.exercise.source(folder, session)
        units = list(source.units(_FIRST))
        rows = []
        for batch in source.batches(units, _FIRST):
            rows += read_batch(self.exercise.source(folder, session), batch, session)
        return rows

    def test_every_row_is_read_once_and_exactly(self, tmp_path: Path) -> None:
        """Also text with quotes, lines and other scripts, nulls, and large numbers."""
        self.exercise.put(tmp_path, SAMPLE)
        with small_session() as session:
            rows = [_plain(row) for row in self._read_all(tmp_path, session)]
        assert multiset(rows) == multiset(SAMPLE), rows

    def test_reading_again_gives_the_same(self, tmp_path: Path) -> None:
        """A retry, also on another machine, starts from the same batch."""
        self.exercise.put(tmp_path, SAMPLE)
        with small_session() as session:
            first = self._read_all(tmp_path, session)
            assert multiset(self._read_all(tmp_path, session)) == multiset(first)

    def test_units_are_the_same_while_nothing_changes(self, tmp_path: Path) -> None:
        """A run that was killed finds its batches in the raw zone again."""
        self.exercise.put(tmp_path, SAMPLE)
        with small_session() as session:
            first, second = (
                [unit.identity for unit in self.exercise.source(tmp_path, session).units(_FIRST)]
                for _ in range(2)
            )
        assert first == second

    def test_positions_are_unique(self, tmp_path: Path) -> None:
        """The ledger knows one version of each position."""
        self.exercise.put(tmp_path, SAMPLE)
        with small_session() as session:
            positions = [u.position for u in self.exercise.source(tmp_path, session).units(_FIRST)]
        assert len(positions) == len(set(positions))

    def test_a_change_is_a_unit_that_the_ledger_does_not_have(self, tmp_path: Path) -> None:
        """By position or by version."""
        self.exercise.put(tmp_path, SAMPLE)
        with small_session() as session:
            source = self.exercise.source(tmp_path, session)
            state = loaded(source, _FIRST)
            changed: list[Row] = [{**SAMPLE[0], "name": "other"}, *SAMPLE[1:]]
            self.exercise.put(tmp_path, changed)
            known = {entry.unit.identity for entry in state.units.values()}
            found = {u.identity for u in self.exercise.source(tmp_path, session).units(state)}
            assert found - known

    def test_batches_hold_each_unit_once_in_order(self, tmp_path: Path) -> None:
        """Later units win over earlier ones, so their order counts."""
        self.exercise.put(tmp_path, SAMPLE)
        with small_session() as session:
            source = self.exercise.source(tmp_path, session)
            units = list(source.units(_FIRST))
            batches = source.batches(units, _FIRST)
        assert [unit for batch in batches for unit in batch.units] == units

    def test_readings_survive_json(self, tmp_path: Path) -> None:
        """They are kept in manifests and compared with those of the next plan."""
        self.exercise.put(tmp_path, SAMPLE)
        with small_session() as session:
            source = self.exercise.source(tmp_path, session)
            for batch in source.batches(list(source.units(_FIRST)), _FIRST):
                assert json.loads(json.dumps(batch.reading)) == batch.reading

    def test_rows_of_several_units_name_their_unit(self, tmp_path: Path) -> None:
        """By its index in the batch."""
        self.exercise.put(tmp_path, SAMPLE)
        with small_session() as session:
            source = self.exercise.source(tmp_path, session)
            for batch in source.batches(list(source.units(_FIRST)), _FIRST):
                if len(batch.units) == 1:
                    continue
                for row in read_batch(source, batch, session):
                    assert row[UNIT_INDEX] in range(len(batch.units))

    def test_the_key_of_each_row_is_read_alone(self, tmp_path: Path) -> None:
        """Of a database: beside a window, it tells what is gone."""
        if not issubclass(self.exercise.connector.dataset or DatasetSpec, DatabaseDataset):
            return
        self.exercise.put(tmp_path, SAMPLE)
        fields = {"write": "merge", "key": "no", "columns": {"rename": {"id": "no"}}}
        with small_session() as session:
            source = self.exercise.source(tmp_path, session, **fields)
            rows = read_batch(source, Batch((Unit("all keys", "1"),), {"keys": "now"}), session)
        assert multiset(rows) == multiset([{"id": row["id"]} for row in SAMPLE])

    def test_the_engine_is_left_as_it_was(self, tmp_path: Path) -> None:
        """No database stays attached, no view or table stays behind."""
        self.exercise.put(tmp_path, SAMPLE)
        with small_session() as session:
            self._read_all(tmp_path, session)
            left = session.query(
                "SELECT database_name FROM duckdb_databases() WHERE NOT internal "
                "AND database_name <> 'memory' UNION ALL "
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'"
            )
        assert not left

    def test_a_misspelt_field_is_refused(self, tmp_path: Path) -> None:
        """Nothing that a user says is ignored."""
        with small_session() as session, raises(ValidationError):
            self.exercise.source(tmp_path, session, misspelt=True)

    def test_the_connection_can_be_shown(self, tmp_path: Path) -> None:
        """For people; it is the scheme at least."""
        config = self.exercise.connector.connection.from_uri(self.exercise.uri(tmp_path), tmp_path)
        assert config.display.startswith(f"{self.exercise.scheme}:")


def _plain(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != UNIT_INDEX}
