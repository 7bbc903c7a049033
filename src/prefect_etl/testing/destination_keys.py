"""What every destination promises of rows with a key, as tests."""

# ruff: noqa: S101  # they are tests

from __future__ import annotations

from pathlib import Path

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.schema import TableSchema
from prefect_etl.testing.loads import Suite, row


class KeysConformance(Suite):
    """``write: merge``."""

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

    def test_keys_that_a_whole_source_lost_stay_unless_asked(self, tmp_path: Path) -> None:
        """A source may forget what a table should keep."""
        with self._table(tmp_path, write="merge", key="id") as table:
            table.load({"a": [row(1), row(2)]}, whole=True)
            assert table.counts({"b": [row(1)]}, whole=True) == Accounting(read=1, unchanged=1)
            assert table.holds(row(1), row(2))

    def test_keys_that_a_whole_source_lost_are_deleted_if_asked(self, tmp_path: Path) -> None:
        """They are counted apart: no row was read for them. Part of a source says nothing."""
        with self._table(tmp_path, write="merge", key="id", missing="delete") as table:
            table.load({"a": [row(1), row(2), row(3)]}, whole=True)
            assert table.counts({"b": [row(1)]}).missing == 0
            counts = table.counts({"c": [row(1), row(4)]}, whole=True)
            assert counts == Accounting(read=2, unchanged=1, inserted=1, missing=2)
            assert table.holds(row(1), row(4))

    def test_a_key_whose_row_lost_is_not_missing(self, tmp_path: Path) -> None:
        """The source has it, though an older version of it."""
        fields = {"write": "merge", "key": "id", "cursor": "seen", "missing": "delete"}
        with self._table(tmp_path, **fields) as table:
            table.load({"a": [row(1, "new", 5)]})
            counts = table.counts({"b": [row(1, "old", 4)]}, whole=True)
            assert counts == Accounting(read=1, superseded=1)
            assert table.holds(row(1, "new", 5))

    def test_keys_of_several_columns_match_where_all_do(self, tmp_path: Path) -> None:
        """Text with quotes and numbers alike."""
        schema = TableSchema.of(a="BIGINT", b="VARCHAR", n="BIGINT")
        with self._table(tmp_path, write="merge", key=("a", "b")) as table:
            table.load({"u": [{"a": 1, "b": "x'", "n": 1}, {"a": 1, "b": "y", "n": 1}]}, schema)
            counts = table.counts({"v": [{"a": 1, "b": "x'", "n": 2}]}, schema)
            assert counts == Accounting(read=1, updated=1)
            assert table.holds({"a": 1, "b": "x'", "n": 2}, {"a": 1, "b": "y", "n": 1})
