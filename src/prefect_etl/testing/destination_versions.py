"""What every destination promises of versions (``write: scd2``), as tests."""

# ruff: noqa: S101  # they are tests

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.schema import TableSchema
from prefect_etl.errors import SchemaError
from prefect_etl.testing.exercise import Row, raises
from prefect_etl.testing.loads import SCHEMA, TIMED, Suite, Table, read_on, row


def _on(day: int, number: int, name: str, *, gone: bool = False) -> Row:
    return row(number, name, f"2026-01-{day:02d} 00:00:00", gone=gone)


class VersionsConformance(Suite):
    """``write: scd2``: tables keep all versions of a key, each with the time for which it held."""

    @contextmanager
    def _versions(self, folder: Path, **fields: Any) -> Iterator[Table]:
        fields = {"cursor": "seen", "track": "name", **fields}
        with self._table(folder, write="scd2", key="id", **fields) as table:
            yield table

    def test_a_changed_row_ends_a_version_and_begins_another(self, tmp_path: Path) -> None:
        """At the time of its cursor."""
        with self._versions(tmp_path) as table:
            table.load({"a": [_on(1, 1, "a"), _on(1, 2, "a")]}, TIMED)
            counts = table.counts({"b": [_on(3, 1, "b"), _on(3, 3, "a")]}, TIMED)
            assert counts == Accounting(read=2, updated=1, inserted=1)
            ended, *current = table.versions
            assert ended == (1, "a", 1, 3)
            assert current == [(1, "b", 3, None), (2, "a", 1, None), (3, "a", 3, None)]

    def test_columns_that_are_not_tracked_make_no_version(self, tmp_path: Path) -> None:
        """They are kept up to date in the current one, so an older row is known as such."""
        with self._versions(tmp_path) as table:
            table.load({"a": [_on(1, 1, "a")]}, TIMED)
            assert table.counts({"b": [_on(5, 1, "a")]}, TIMED) == Accounting(read=1, unchanged=1)
            assert table.counts({"c": [_on(3, 1, "b")]}, TIMED) == Accounting(read=1, superseded=1)
            assert table.versions == [(1, "a", 1, None)]

    def test_all_columns_but_key_and_cursor_are_tracked_at_first(self, tmp_path: Path) -> None:
        """If the dataset does not say which."""
        with self._versions(tmp_path, track=()) as table:
            table.load({"a": [_on(1, 1, "a")]}, TIMED)
            assert table.counts({"b": [_on(2, 1, "a")]}, TIMED).unchanged == 1
            assert table.counts({"c": [_on(3, 1, "a", gone=True)]}, TIMED).updated == 1

    def test_of_a_loads_rows_of_a_key_the_latest_counts(self, tmp_path: Path) -> None:
        """The others are superseded, and leave no version."""
        with self._versions(tmp_path) as table:
            counts = table.counts({"a": [_on(3, 1, "c"), _on(1, 1, "a"), _on(2, 1, "b")]}, TIMED)
            assert counts == Accounting(read=3, inserted=1, superseded=2)
            assert table.versions == [(1, "c", 3, None)]

    def test_a_row_of_the_same_time_takes_the_place_of_the_version(self, tmp_path: Path) -> None:
        """No version holds for no time at all."""
        with self._versions(tmp_path) as table:
            table.load({"a": [_on(1, 1, "a")]}, TIMED)
            assert table.counts({"b": [_on(1, 1, "b")]}, TIMED) == Accounting(read=1, updated=1)
            assert table.versions == [(1, "b", 1, None)]

    def test_without_a_time_a_version_begins_when_it_was_read(self, tmp_path: Path) -> None:
        """With a number for a cursor, or none."""
        for cursor in ("seen", None):
            with self._versions(tmp_path, cursor=cursor, into=f"by_{cursor}") as table:
                table.load({"a": [row(1, "a", 1)]}, moment=read_on(4))
                table.load({"b": [row(1, "b", 2)]}, moment=read_on(6))
                assert table.versions == [(1, "a", 4, 6), (1, "b", 6, None)]

    def test_a_deletion_ends_the_version(self, tmp_path: Path) -> None:
        """An older row does not bring the key back; a newer one does."""
        with self._versions(tmp_path, deleted_when="gone") as table:
            table.load({"a": [_on(1, 1, "a"), _on(1, 2, "a")]}, TIMED)
            gone = [_on(5, 1, "a", gone=True), _on(5, 9, "a", gone=True)]
            assert table.counts({"b": gone}, TIMED) == Accounting(read=2, deleted=2)
            assert table.versions == [(1, "a", 1, 5), (2, "a", 1, None)]
            assert table.counts({"c": [_on(4, 1, "b")]}, TIMED).superseded == 1
            assert table.counts({"d": [_on(7, 1, "b")]}, TIMED).inserted == 1
            assert table.versions == [(1, "a", 1, 5), (1, "b", 7, None), (2, "a", 1, None)]

    def test_a_deletion_at_the_beginning_of_a_version_takes_it_out(self, tmp_path: Path) -> None:
        """It held for no time at all."""
        with self._versions(tmp_path, deleted_when="gone") as table:
            table.load({"a": [_on(1, 1, "a")]}, TIMED)
            assert table.counts({"b": [_on(1, 1, "a", gone=True)]}, TIMED).deleted == 1
            assert table.versions == []

    def test_keys_that_a_whole_source_lost_end_when_it_was_read(self, tmp_path: Path) -> None:
        """Part of a source says nothing of others; ended ones do not end again."""
        with self._versions(tmp_path) as table:
            table.load({"a": [_on(1, 1, "a"), _on(1, 2, "a")]}, TIMED)
            assert table.counts({"b": [_on(1, 1, "a")]}, TIMED).missing == 0
            for missing, day in ((1, 9), (0, 11)):
                counts = table.counts(
                    {f"c{day}": [_on(1, 1, "a")]}, TIMED, whole=True, moment=read_on(day)
                )
                assert counts == Accounting(read=1, unchanged=1, missing=missing)
            assert table.versions == [(1, "a", 1, None), (2, "a", 1, 9)]

    def test_keys_that_a_whole_source_lost_stay_if_asked(self, tmp_path: Path) -> None:
        """``missing: keep``."""
        with self._versions(tmp_path, missing="keep") as table:
            table.load({"a": [_on(1, 1, "a"), _on(1, 2, "a")]}, TIMED)
            assert table.counts({"b": [_on(1, 1, "a")]}, TIMED, whole=True).missing == 0
            assert table.versions == [(1, "a", 1, None), (2, "a", 1, None)]

    def test_a_key_that_comes_back_begins_where_it_ended(self, tmp_path: Path) -> None:
        """If its cursor is before that: at any time one version of a key holds at most."""
        with self._versions(tmp_path) as table:
            table.load({"a": [_on(1, 1, "a"), _on(1, 2, "a")]}, TIMED)
            table.load({"b": [_on(1, 1, "a")]}, TIMED, whole=True, moment=read_on(9))
            assert table.counts({"c": [_on(2, 2, "b")]}, TIMED).inserted == 1
            assert table.versions == [(1, "a", 1, None), (2, "a", 1, 9), (2, "b", 9, None)]

    def test_a_schema_that_grows_makes_no_versions(self, tmp_path: Path) -> None:
        """Where a new column is null and a wider number holds the same, nothing has changed."""
        with self._versions(tmp_path, track=(), cursor=None) as table:
            table.load({"a": [{"id": 1, "n": 5}]}, TableSchema.of(id="BIGINT", n="INTEGER"))
            wider = TableSchema.of(id="BIGINT", n="DECIMAL(14,2)", x="VARCHAR")
            counts = table.counts({"b": [{"id": 1, "n": 5, "x": None}]}, wider)
            assert counts == Accounting(read=1, unchanged=1)
            assert table.counts({"c": [{"id": 1, "n": 5, "x": "new"}]}, wider).updated == 1

    def test_a_null_is_another_value_than_empty_text(self, tmp_path: Path) -> None:
        """Either makes a version of the other."""
        with self._versions(tmp_path, cursor=None) as table:
            table.load({"a": [row(1, None)]}, SCHEMA, moment=read_on(1))
            assert table.counts({"b": [row(1, "")]}, SCHEMA, moment=read_on(2)).updated == 1
            assert table.counts({"c": [row(1, None)]}, SCHEMA, moment=read_on(3)).updated == 1

    def test_a_source_with_a_column_of_that_name_is_refused(self, tmp_path: Path) -> None:
        """Versions keep their time in ``valid_from`` and ``valid_to``."""
        schema = TableSchema.of(id="BIGINT", name="VARCHAR", seen="INTEGER", Valid_To="DATE")
        with self._versions(tmp_path) as table, raises(SchemaError):
            table.load({"a": [{"id": 1}]}, schema)
