"""What every destination promises, as tests."""

# ruff: noqa: S101  # they are tests

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from prefect_etl.connectors.memory import MemoryConnection, MemoryDestination, store
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit
from prefect_etl.errors import AccountingError, ConfigError, SchemaError, VersionConflict
from prefect_etl.testing.exercise import Exercise, multiset, raises, small_session
from prefect_etl.testing.loads import SCHEMA, Table, make_load, random_dataset, random_units, row


def destination_conformance(exercise: Exercise) -> type[DestinationConformance]:
    """A test class for a destination, for pytest to collect."""
    name = f"Test{exercise.name}Destination"
    return type(name, (DestinationConformance,), {"exercise": exercise})


class DestinationConformance:
    """What every destination promises; made for one by :func:`destination_conformance`."""

    exercise: ClassVar[Exercise]

    @contextmanager
    def _table(self, folder: Path, **fields: Any) -> Iterator[Table]:
        with small_session() as session:
            yield Table(self.exercise, folder, session, DatasetSpec(name="d", **fields))

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

    def test_merge_inserts_updates_and_leaves_equal_rows(self, tmp_path: Path) -> None:
        """Each row is counted as what became of it."""
        with self._table(tmp_path, write="merge", key="id") as table:
            table.load({"a": [row(1), row(2, None)]})
            counts = table.counts({"b": [row(1, "b"), row(2, None), row(3)]})
            assert counts == Accounting(read=3, inserted=1, updated=1, unchanged=1)
            assert table.holds(row(1, "b"), row(2, None), row(3))

    def test_the_last_row_of_a_key_wins_within_a_load(self, tmp_path: Path) -> None:
        """Last by unit, then by place; the losers are counted with their own unit."""
        with self._table(tmp_path, write="merge", key="id") as table:
            result = table.load({"a": [row(1, "x"), row(1, "y")], "b": [row(1, "z")]})
            assert table.holds(row(1, "z"))
            assert [c.superseded for _, c in sorted(result.counts.items())] == [2, 0]

    def test_the_highest_cursor_of_a_key_wins_within_a_load(self, tmp_path: Path) -> None:
        """Null is lowest; of equal ones the last wins."""
        with self._table(tmp_path, write="merge", key="id", cursor="seen") as table:
            rows = [
                row(1, "x", 2),
                row(1, "y", 3),
                row(1, "z", 3),
                row(1, "u", 1),
                row(1, "v", None),
            ]
            counts = table.counts({"a": rows})
            assert counts == Accounting(read=5, inserted=1, superseded=4)
            assert table.holds(row(1, "z", 3))

    def test_an_older_row_never_overwrites_a_newer_one(self, tmp_path: Path) -> None:
        """An equal cursor does."""
        with self._table(tmp_path, write="merge", key="id", cursor="seen") as table:
            table.load({"a": [row(1, "new", 5), row(2, "new", 5), row(3, "new", 5)]})
            older = [row(1, "old", 4), row(2, "old", None), row(3, "same", 5)]
            assert table.counts({"b": older}) == Accounting(read=3, superseded=2, updated=1)
            assert table.holds(row(1, "new", 5), row(2, "new", 5), row(3, "same", 5))

    def test_a_row_can_ask_for_the_deletion_of_its_key(self, tmp_path: Path) -> None:
        """It is counted as deleted, also where there was nothing to delete."""
        with self._table(tmp_path, write="merge", key="id", deleted_when="gone") as table:
            table.load({"a": [row(1), row(2)]})
            assert table.counts({"b": [row(1, gone=True), row(9, gone=True)]}) == Accounting(
                read=2, deleted=2
            )
            assert table.holds(row(2))

    def test_an_older_row_does_not_bring_back_a_deleted_one(self, tmp_path: Path) -> None:
        """Nor one without a cursor; a newer one does, and clears the memory of the deletion."""
        fields = {"write": "merge", "key": "id", "cursor": "seen", "deleted_when": "gone"}
        with self._table(tmp_path, **fields) as table:
            table.load({"a": [row(1, "a", 1), row(2, "a", 1), row(3, "a", 1)]})
            table.load({"b": [row(n, "a", 5, gone=True) for n in (1, 2, 3)]})
            late = [row(1, "late", 4), row(2, "late", None), row(3, "new", 5)]
            assert table.counts({"c": late}) == Accounting(read=3, superseded=2, inserted=1)
            assert table.holds(row(3, "new", 5))
            assert table.counts({"d": [row(1, "new", 6)]}) == Accounting(read=1, inserted=1)

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

    def test_the_cursor_never_goes_back(self, tmp_path: Path) -> None:
        """It is the highest that was ever loaded, of rows that lost or were deleted, too."""
        fields = {"write": "merge", "key": "id", "cursor": "seen", "deleted_when": "gone"}
        with self._table(tmp_path, **fields) as table:
            table.load({"a": [row(1, seen=5), row(2, seen=9, gone=True)]})
            assert table.state.cursor == "9"
            table.load({"b": [row(1, seen=10), row(3, seen=None)]})
            table.load({"c": [row(1, seen=2)]})
            assert table.state.cursor == "10"

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
        for write in ("append", "replace", "merge"):
            with self._table(tmp_path, write=write, key="id", into=write) as table:
                table.load({"a": [row(1)]})
                before = table.state
                for read in (1, 3):
                    load = make_load(table.dataset, table.state, {"b": [row(2), row(3)]})
                    (unit,) = load.units
                    wrong = replace(load, units=(replace(unit, counts=Accounting(read=read)),))
                    with raises(AccountingError):
                        table.destination.commit(wrong)
                assert table.state == before
                assert table.holds(row(1))

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
        fields = {"into": 'a "b"; DROP', "schema": "it's", "write": "merge", "key": "k ey"}
        fields |= {"cursor": 'c"u', "deleted_when": "FALSE"}
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
        for seed in range(8):
            random = Random(seed)  # noqa: S311  # no secret
            dataset = random_dataset(random, f"t{seed}")
            with small_session() as session:
                model = MemoryConnection(name=f"reference of {tmp_path} {seed}")
                reference = MemoryDestination(model, session)
                table = Table(self.exercise, tmp_path, session, dataset)
                for version in range(5):
                    load = make_load(dataset, reference.state(dataset), random_units(random))
                    wanted = reference.commit(load)
                    mine = replace(load, state=table.state, lineage=table.state.lineage)
                    found = table.destination.commit(mine)
                    where = f"seed {seed}, load {version}: {dataset}"
                    assert found.counts == wanted.counts, where
                    rows = store(model.name).rows(dataset.table)
                    assert multiset(table.rows) == multiset(rows), where
                    assert _comparable(table.state) == _comparable(reference.state(dataset)), where


def _comparable(state: LedgerState) -> LedgerState:
    return replace(state, lineage=None)
