"""What every destination promises of windows, and of rows that come as a stream, as tests."""

# ruff: noqa: S101  # they are tests

from __future__ import annotations

from pathlib import Path

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.cursor import Window
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit
from prefect_etl.errors import AccountingError
from prefect_etl.testing.exercise import raises
from prefect_etl.testing.loads import Suite, make_load, read_on, row, streamed


def _window(lower: str | None) -> Unit:
    return Unit(f"from {lower}", "1", transient=True)


class WindowsConformance(Suite):
    """Loads of a part of a source that is known by its cursor."""

    def test_append_reads_the_first_window_onto_what_is_there(self, tmp_path: Path) -> None:
        """It has no lower bound, so nothing was read before."""
        with self._table(tmp_path, cursor="seen") as table:
            rows = [row(1, seen=1), row(2, seen=None)]
            window = Window(None, "1", nulls=True)
            counts = table.counts({_window(None): rows}, window=window)
            assert counts == Accounting(read=2, inserted=2)

    def test_append_takes_out_the_rows_of_the_window_that_it_brings(self, tmp_path: Path) -> None:
        """Ties at the bound and late rows come again; no row is lost, none doubled."""
        with self._table(tmp_path, cursor="seen") as table:
            table.load({"a": [row(1, seen=3), row(2, seen=5), row(3, seen=None)]})
            again = [row(2, seen=5), row(4, seen=5), row(5, seen=4), row(6, seen=9)]
            window = Window("4", "9")
            counts = table.counts({_window("4"): again}, window=window)
            assert counts == Accounting(read=4, inserted=4, replaced=1)
            assert table.holds(row(1, seen=3), row(3, seen=None), *again)

    def test_a_window_of_a_backfill_leaves_what_comes_after(self, tmp_path: Path) -> None:
        """Its upper bound is outside."""
        with self._table(tmp_path, cursor="seen") as table:
            table.load({"a": [row(n, seen=n) for n in (1, 2, 3, 4)]})
            window = Window("2", "4", open=True)
            counts = table.counts({_window("2"): [row(9, seen=3)]}, window=window)
            assert counts == Accounting(read=1, inserted=1, replaced=2)
            assert table.holds(row(1, seen=1), row(9, seen=3), row(4, seen=4))

    def test_keys_that_are_neither_in_the_window_nor_at_the_source_are_missing(
        self, tmp_path: Path
    ) -> None:
        """The window has what is new, and the keys of all rows come beside it."""
        fields = {"write": "merge", "key": "id", "cursor": "seen", "missing": "delete"}
        with self._table(tmp_path, **fields) as table:
            table.load({"a": [row(n, seen=n) for n in (1, 2, 3)]})
            new, keys = row(5, seen=5), "SELECT * FROM (VALUES (1), (4)) AS keys(id)"
            counts = table.counts({_window("3"): [new]}, window=Window("3", "5"), keys=keys)
            assert counts == Accounting(read=1, inserted=1, missing=2)
            assert table.holds(row(1, seen=1), new)

    def test_versions_whose_keys_are_gone_end_when_they_were_read(self, tmp_path: Path) -> None:
        """Of a window with all keys, as of a source that is read as a whole."""
        fields = {"write": "scd2", "key": "id", "cursor": "seen", "missing": "delete"}
        with self._table(tmp_path, **fields) as table:
            table.load({"a": [row(1, seen=1), row(2, seen=2)]}, moment=read_on(3))
            counts = table.counts(
                {_window("2"): []},
                window=Window("2", "2"),
                keys="SELECT 1 AS id",
                moment=read_on(7),
            )
            assert counts == Accounting(missing=1)
            assert table.versions == [(1, "a", 3, None), (2, "a", 3, 7)]

    def test_text_is_in_order_byte_by_byte(self, tmp_path: Path) -> None:
        """Capitals before small letters, all others after: as in every other place."""
        schema = TableSchema.of(id="BIGINT", at="VARCHAR")
        with self._table(tmp_path, cursor="at") as table:
            given = [{"id": n, "at": at} for n, at in enumerate(["B", "_", "a", "b", "é"])]
            table.load({"a": given}, schema)
            counts = table.counts({_window("a"): []}, schema, window=Window("a", "z"))
            assert counts == Accounting(replaced=3)
            assert table.holds(*given[:2])

    def test_text_decides_byte_by_byte_which_row_is_newer(self, tmp_path: Path) -> None:
        """In a merge, too."""
        schema = TableSchema.of(id="BIGINT", at="VARCHAR")
        with self._table(tmp_path, write="merge", key="id", cursor="at") as table:
            table.load({"a": [{"id": 1, "at": "a"}, {"id": 2, "at": "a"}]}, schema)
            counts = table.counts({"b": [{"id": 1, "at": "B"}, {"id": 2, "at": "é"}]}, schema)
            assert counts == Accounting(read=2, superseded=1, updated=1)

    def test_deletions_are_remembered_for_as_long_as_rows_are_late(self, tmp_path: Path) -> None:
        """What is before the window cannot come any more, and is forgotten."""
        fields = {"write": "merge", "key": "id", "cursor": "seen", "deleted_when": "gone"}
        with self._table(tmp_path, **fields) as table:
            table.load({"a": [row(1, seen=4, gone=True), row(2, seen=6, gone=True)]})
            table.load({_window("5"): [row(3, seen=9)]}, window=Window("5", "9"))
            late = [row(1, "late", 3), row(2, "late", 3)]
            assert table.counts({"b": late}) == Accounting(read=2, inserted=1, superseded=1)

    def test_rows_may_come_as_a_stream(self, tmp_path: Path) -> None:
        """In every mode; it can be read once."""
        for write in ("append", "replace", "merge", "scd2"):
            fields = {"write": write, "key": "id", "into": f"by_{write}"}
            with self._table(tmp_path, **fields) as table:
                table.load({"a": [row(1)]})
                load = make_load(table.dataset, table.state, {"b": [row(n) for n in range(2, 9)]})
                counts = table.take(streamed(table.session, load))
                assert (counts.read, counts.inserted) == (7, 7), write
                assert len(table.rows) == (7 if write == "replace" else 8), write

    def test_rows_of_a_stream_that_are_left_out_are_filtered(self, tmp_path: Path) -> None:
        """The source says how many it gave; more cannot come than those."""
        for write in ("append", "merge"):
            fields = {"write": write, "key": "id", "into": f"by_{write}"}
            with self._table(tmp_path, **fields) as table:
                load = make_load(table.dataset, LedgerState(), {"a": [row(1), row(2)]})
                with raises(AccountingError):
                    table.take(streamed(table.session, load, read=1))
                counts = table.take(streamed(table.session, load, read=5))
                assert counts == Accounting(read=5, inserted=2, filtered=3)
