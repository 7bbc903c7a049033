"""What a destination that speaks SQL promises those who use its tables beside us, as tests."""

# ruff: noqa: S101  # they are tests

from __future__ import annotations

from pathlib import Path

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.unit import Unit
from prefect_etl.errors import ConfigError, DataError, EtlError
from prefect_etl.testing.exercise import raises
from prefect_etl.testing.loads import Suite, Table, row

_COLUMNS = '"id" BIGINT, "name" VARCHAR, "seen" INTEGER, "gone" BOOLEAN'
_KEYED = f'CREATE TABLE "d" ({_COLUMNS}, PRIMARY KEY ("id"))'
_INSERT = "INSERT INTO \"d\" VALUES (1, 'old', 1, FALSE), (2, 'old', 1, FALSE)"


class NeighboursConformance(Suite):
    """Views, indexes and tables of others; SQL of a dataset's user."""

    def _do(self, table: Table, *statements: str) -> None:
        for sql in statements:
            self.exercise.execute(table.folder, sql)

    def test_views_show_what_a_replace_brought(self, tmp_path: Path) -> None:
        """They are there, and work, whatever becomes of the table."""
        with self._table(tmp_path, write="replace") as table:
            table.load({"a": [row(1)]})
            self._do(table, 'CREATE VIEW "seen_by_all" AS SELECT "id" FROM "d"')
            table.load({"b": [row(2), row(3)]})
            schema = self.exercise.schema_of(tmp_path, table.dataset)
            found = self.exercise.rows(tmp_path, schema, "seen_by_all")
            assert sorted(values["id"] for values in found) == [2, 3]

    def test_indexes_outlive_a_replace_and_a_refresh(self, tmp_path: Path) -> None:
        """A unique one refuses the load that would break it, and the table is as it was."""
        with self._table(tmp_path, write="replace") as table:
            table.load({"a": [row(1)]})
            self._do(table, 'CREATE UNIQUE INDEX "once" ON "d" ("id")')
            table.load({"b": [row(1), row(2)]})
            table.load({"c": [row(1), row(3)]}, refresh=True)
            with raises(DataError):
                table.load({"d": [row(4), row(4)]})
            assert table.holds(row(1), row(3))

    def test_rows_can_be_merged_where_an_index_is(self, tmp_path: Path) -> None:
        """Updated, deleted and inserted."""
        fields = {"write": "merge", "key": "id", "deleted_when": "gone"}
        with self._table(tmp_path, **fields) as table:
            table.load({"a": [row(1), row(2)]})
            self._do(table, 'CREATE UNIQUE INDEX "once" ON "d" ("id")')
            table.load({"b": [row(1, "b"), row(2, gone=True), row(3)]})
            assert table.holds(row(1, "b"), row(3))

    def test_a_table_that_no_pipeline_made_is_left_alone(self, tmp_path: Path) -> None:
        """Somebody may need its rows."""
        with self._table(tmp_path) as table:
            self._do(table, _KEYED, _INSERT)
            with raises(ConfigError):
                table.load({"a": [row(3)]})
            assert table.holds(row(1, "old"), row(2, "old"))

    def test_a_table_can_be_adopted(self, tmp_path: Path) -> None:
        """Its rows stay, and new ones come to them; it goes on as any other."""
        with self._table(tmp_path, adopt=True) as table:
            self._do(table, _KEYED, _INSERT)
            assert table.counts({"a": [row(3)]}) == Accounting(read=1, inserted=1)
            assert table.counts({Unit("a", "2"): [row(4)]}).replaced == 1
            assert table.holds(row(1, "old"), row(2, "old"), row(4))

    def test_an_adopted_table_is_merged_into_by_key(self, tmp_path: Path) -> None:
        """Rows that were there are updated."""
        with self._table(tmp_path, write="merge", key="id", adopt=True) as table:
            self._do(table, _KEYED, _INSERT)
            counts = table.counts({"a": [row(1, "new"), row(3, "new")]})
            assert counts == Accounting(read=2, updated=1, inserted=1)
            assert table.holds(row(1, "new"), row(2, "old"), row(3, "new"))

    def test_an_adopted_table_keeps_its_primary_key_when_replaced(self, tmp_path: Path) -> None:
        """Its contents are exchanged, not the table."""
        with self._table(tmp_path, write="replace", adopt=True) as table:
            self._do(table, _KEYED, _INSERT)
            assert table.counts({"a": [row(1), row(3)]}).replaced == 2
            with raises(DataError):
                table.load({"b": [row(4), row(4)]})
            assert table.holds(row(1), row(3))

    def test_a_table_whose_key_is_not_unique_is_not_adopted(self, tmp_path: Path) -> None:
        """A merge would not know which row to update."""
        with self._table(tmp_path, write="merge", key="name", adopt=True) as table:
            self._do(table, _KEYED, _INSERT)
            with raises(DataError):
                table.load({"a": [row(3)]})

    def test_sql_of_the_user_runs_in_the_transaction_of_the_load(self, tmp_path: Path) -> None:
        """``before`` sees the table as it was, ``after`` as it is."""
        with self._table(tmp_path) as table:
            table.load({"a": [row(1), row(2)]})
        fields = {"before": 'DELETE FROM "d" WHERE "id" = 1'}
        fields["after"] = 'CREATE TABLE "note" AS SELECT count(*) AS "n" FROM "d"'
        with self._table(tmp_path, **fields) as table:
            table.load({"b": [row(3)]})
            assert table.holds(row(2), row(3))
            schema = self.exercise.schema_of(tmp_path, table.dataset)
            assert self.exercise.rows(tmp_path, schema, "note") == [{"n": 2}]

    def test_sql_of_the_user_that_fails_takes_the_load_back(self, tmp_path: Path) -> None:
        """Rows, ledger, and what it did itself before."""
        with self._table(tmp_path) as table:
            table.load({"a": [row(1)]})
        fields = {"before": 'DELETE FROM "d"', "after": 'INSERT INTO "nowhere" VALUES (1)'}
        with self._table(tmp_path, **fields) as table:
            before = table.state
            with raises(EtlError):
                table.load({"b": [row(2)]})
            assert table.state == before
            assert table.holds(row(1))
