"""What every destination promises, as tests."""

# ruff: noqa: S101  # they are tests

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

from prefect_etl.connectors.memory import MemoryConnection, MemoryDestination, store
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import AccountingError, ConfigError, SchemaError, VersionConflict
from prefect_etl.testing.destination_keys import KeysConformance
from prefect_etl.testing.destination_neighbours import NeighboursConformance
from prefect_etl.testing.destination_versions import VersionsConformance
from prefect_etl.testing.destination_windows import WindowsConformance
from prefect_etl.testing.exercise import Exercise, multiset, raises, small_session
from prefect_etl.testing.loads import SCHEMA, Suite, Table, make_load, row
from prefect_etl.testing.random_loads import RandomLoads

RANDOM_DATASETS = 8


def destination_conformance(exercise: Exercise) -> type[DestinationConformance]:
    """A test class for a destination, for pytest to collect."""
    name = f"Test{exercise.name}Destination"
    others = (NeighboursConformance,) if exercise.speaks_sql else ()
    return type(name, (DestinationConformance, *others), {"exercise": exercise})


class DestinationConformance(KeysConformance, VersionsConformance, WindowsConformance, Suite):
    """What every destination promises; made for one by :func:`destination_conformance`."""

    def test_nothing_is_known_before_the_first_load(self, tmp_path: Path) -> None:
        """Also where the system itself is not there yet."""
        with self._table(tmp_path) as table:
            assert table.state == LedgerState()
            assert table.destination.last_load(table.dataset) is None

    def test_append_adds_rows(self, tmp_path: Path) -> None:
        """Equal ones, too."""
        with self._table(tmp_path) as table:
            table.load({"a": [row(1), row(1)]})
            assert table.counts({"b": [row(1)]}) == Accounting(read=1, inserted=1)
            assert table.holds(row(1), row(1), row(1))

    def test_append_replaces_the_rows_of_a_changed_unit(self, tmp_path: Path) -> None:
        """And no others."""
        with self._table(tmp_path) as table:
            table.load({"a": [row(1), row(2)], "b": [row(3)]})
            counts = table.counts({Unit("a", "2"): [row(4)]})
            assert counts == Accounting(read=1, inserted=1, replaced=2)
            assert table.holds(row(3), row(4))

    def test_a_call_or_window_is_not_remembered(self, tmp_path: Path) -> None:
        """Its position says nothing of the next one's rows."""
        with self._table(tmp_path) as table:
            table.load({Unit("call", "0", transient=True): [row(1)]})
            assert table.state.units == {}
            table.load({Unit("call", "1", transient=True): [row(2)]})
            assert table.holds(row(1), row(2))

    def test_append_without_the_unit_column(self, tmp_path: Path) -> None:
        """The table has just the columns of the source."""
        with self._table(tmp_path, unit_column=False) as table:
            table.load({"a": [row(1)]})
            table.load({"b": [row(2)]})
            assert table.holds(row(1), row(2))

    def test_replace_swaps_the_whole_table(self, tmp_path: Path) -> None:
        """Units that are not in the load are forgotten."""
        with self._table(tmp_path, write="replace") as table:
            table.load({"a": [row(1)], "b": [row(2)]})
            assert table.counts({"c": [row(3)]}) == Accounting(read=1, inserted=1, replaced=2)
            assert table.holds(row(3))
            assert set(table.state.units) == {"c"}

    def test_replace_by_nothing_empties_the_table(self, tmp_path: Path) -> None:
        """All files are gone, or all are empty."""
        with self._table(tmp_path, write="replace") as table:
            table.load({"a": [row(1)]})
            table.load({"b": []})
            assert table.holds()

    def test_the_ledger_knows_what_was_loaded(self, tmp_path: Path) -> None:
        """Version, units, numbers, schema, cursor and specification."""
        with self._table(tmp_path, cursor="seen") as table:
            unit = Unit("a", "1", size=10, modified_ns=20)
            result = table.load({unit: [row(1, seen=3)], "b": [row(2, seen=2)]})
            state = table.state
            assert (state.version, state.lineage) == (1, result.lineage)
            assert (state.units["a"].unit, state.units["a"].seen_ns) == (unit, 1)
            assert (state.next_unit_id, state.schema, state.cursor) == (3, SCHEMA, "3")
            assert state.fingerprint == table.dataset.fingerprint

    def test_the_ledger_keeps_the_cursor_of_the_load(self, tmp_path: Path) -> None:
        """Whatever the rows hold: those that lost were seen, too."""
        with self._table(tmp_path, write="merge", key="id", cursor="seen") as table:
            table.load({"a": [row(1, seen=5)]}, cursor="9")
            assert table.state.cursor == "9"

    def test_the_last_load_is_remembered(self, tmp_path: Path) -> None:
        """It is what a lost record of the raw zone is made from again."""
        with self._table(tmp_path) as table:
            result = table.load({"a": [row(1)], "b": [row(2)]})
            record = table.destination.last_load(table.dataset)
            assert record is not None
            assert (record.version, record.lineage) == (1, result.lineage)
            assert (record.batches, record.run_id) == (("batch-1", "batch-2"), "run")
            assert not record.refresh

    def test_of_two_runs_that_extend_one_version_the_first_wins(self, tmp_path: Path) -> None:
        """The other one changes nothing."""
        with self._table(tmp_path) as table:
            table.load({"a": [row(1)]})
            one, other = (make_load(table.dataset, table.state, {p: [row(2)]}) for p in "bc")
            table.destination.commit(one)
            before = table.state
            with raises(VersionConflict):
                table.destination.commit(other)
            assert table.state == before
            assert table.holds(row(1), row(2))

    def test_two_first_loads_do_not_both_win(self, tmp_path: Path) -> None:
        """Before the first load there is no row in the ledger to compare."""
        with self._table(tmp_path) as table:
            first = make_load(table.dataset, LedgerState(), {"a": [row(1)]})
            table.destination.commit(first)
            with raises(VersionConflict):
                table.destination.commit(first)
            assert table.holds(row(1))

    def test_a_load_that_does_not_add_up_changes_nothing(self, tmp_path: Path) -> None:
        """Rows are missing, or there are more than were read, in every mode."""
        for write in ("append", "replace", "merge", "scd2"):
            with self._table(tmp_path, write=write, key="id", into=f"by_{write}") as table:
                table.load({"a": [row(1)]})
                before = table.state
                for read in (1, 3):
                    load = make_load(table.dataset, table.state, {"b": [row(2), row(3)]})
                    (unit,) = load.units
                    wrong = replace(load, units=(replace(unit, counts=Accounting(read=read)),))
                    with raises(AccountingError):
                        table.destination.commit(wrong)
                assert table.state == before
                assert len(table.rows) == 1

    def test_a_refresh_begins_anew(self, tmp_path: Path) -> None:
        """Another lineage, the next version; units, deletions and the old schema are forgotten."""
        fields = {"write": "merge", "key": "id", "cursor": "seen", "deleted_when": "gone"}
        with self._table(tmp_path, **fields) as table:
            first = table.load({"a": [row(1, seen=5), row(2, seen=5, gone=True)]})
            schema = TableSchema.of(id="VARCHAR", seen="INTEGER", gone="BOOLEAN")
            given = {"id": "2", "seen": 1, "gone": False}
            result = table.load({"b": [given]}, schema, refresh=True)
            assert table.holds(given)
            assert (result.version, table.state.schema) == (2, schema)
            assert result.lineage != first.lineage
            assert (set(table.state.units), table.state.cursor) == ({"b"}, "1")

    def test_a_reset_is_asked_for_and_done_by_the_next_load(self, tmp_path: Path) -> None:
        """Until then the table stays as it is."""
        with self._table(tmp_path) as table:
            table.destination.reset(table.dataset)
            table.load({"a": [row(1)]})
            table.destination.reset(table.dataset)
            assert table.state.refresh
            assert table.holds(row(1))
            table.load({"b": [row(2)]}, refresh=True)
            assert not table.state.refresh
            assert table.holds(row(2))

    def test_new_columns_are_null_in_old_rows(self, tmp_path: Path) -> None:
        """And columns that a load does not have are null in its rows."""
        with self._table(tmp_path) as table:
            table.load({"a": [{"id": 1}]}, TableSchema.of(id="BIGINT"))
            table.load({"b": [{"x": 0.5}]}, TableSchema.of(x="DOUBLE"))
            assert table.holds({"id": 1, "x": None}, {"id": None, "x": 0.5})

    def test_numbers_widen_and_keep_their_values(self, tmp_path: Path) -> None:
        """Where one would not survive, the load is refused and nothing changes."""
        with self._table(tmp_path) as table:
            table.load({"a": [{"n": 1}]}, TableSchema.of(n="INTEGER"))
            table.load({"b": [{"n": 2**53 + 1}]}, TableSchema.of(n="BIGINT"))
            before = table.state
            with raises(SchemaError):
                table.load({"c": [{"n": 0.5}]}, TableSchema.of(n="DOUBLE"))
            assert table.state == before
            assert table.holds({"n": 1}, {"n": 2**53 + 1})

    def test_a_table_of_another_dataset_or_pipeline_is_left_alone(self, tmp_path: Path) -> None:
        """Two that claim one table are told."""
        with self._table(tmp_path) as table:
            table.load({"a": [row(1)]})
            load = make_load(table.dataset, table.state, {"b": [row(2)]})
            other = DatasetSpec(name="other", into="d")
            for wrong in (replace(load, pipeline="other"), replace(load, dataset=other)):
                with raises(ConfigError):
                    table.destination.commit(wrong)
            assert table.holds(row(1))

    def test_names_may_hold_anything(self, tmp_path: Path) -> None:
        """They are quoted everywhere."""
        fields = {"into": 'a "b"; DROP', "write": "merge", "key": "k ey"}
        fields |= {"cursor": 'c"u', "deleted_when": "FALSE"}
        fields |= {"schema": "it's"} if self.exercise.has_schemas else {}
        schema = TableSchema.of(**{"k ey": "BIGINT", 'c"u': "BIGINT", "select": "VARCHAR"})
        given = {"k ey": 1, 'c"u': 2, "select": "x'y"}
        with self._table(tmp_path, **fields) as table:
            table.load({"it's": [given]}, schema)
            table.load({"it's again": [given]}, schema)
            assert table.holds(given)

    def test_datasets_do_not_touch_each_other(self, tmp_path: Path) -> None:
        """Each has a version, units and cursor of its own."""
        with self._table(tmp_path) as one, self._table(tmp_path, into="other") as table:
            other = replace(table, dataset=DatasetSpec(name="other"))
            one.load({"a": [row(1)]})
            other.load({"a": [row(2)]})
            assert (one.state.version, other.state.version) == (1, 1)
            assert one.holds(row(1))
            assert other.holds(row(2))

    def test_random_loads_agree_with_the_reference(self, tmp_path: Path) -> None:
        """Tables, counts and ledger after each load are those of the plain model."""
        for seed in range(RANDOM_DATASETS):
            with small_session() as session:
                compare_with_reference(self.exercise, tmp_path, session, seed)


def compare_with_reference(
    exercise: Exercise, folder: Path, session: Session, seed: int, loads: int = 4
) -> None:
    """Load the same random rows into a destination and the plain model, and compare all."""
    made = RandomLoads.of(Random(seed), f"t{seed}")  # noqa: S311  # no secret
    model = MemoryConnection(name=f"reference of {folder} {seed}")
    reference = MemoryDestination(model, session)
    dataset = made.dataset
    table = Table(exercise, folder, session, dataset)
    for version in range(loads):
        state = reference.state(dataset)
        load = make_load(dataset, state, made.units(), made.schema, **made.fields(version))
        wanted = reference.commit(load)
        found = table.destination.commit(
            replace(load, state=table.state, lineage=table.state.lineage)
        )
        where = f"seed {seed}, load {version}: {dataset} {load.window} {load.rows}"
        assert found.counts == wanted.counts, where
        rows = store(model.name).rows(dataset.table)
        assert multiset(table.rows) == multiset(rows), where
        assert _comparable(table.state) == _comparable(reference.state(dataset)), where


def _comparable(state: LedgerState) -> LedgerState:
    return replace(state, lineage=None)
