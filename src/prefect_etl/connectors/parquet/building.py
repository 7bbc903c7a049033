"""Builds the next version of a table: files that no row leaves are linked, the others rewritten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect_etl.connectors.parquet.ledger import DataFile, Ledger
from prefect_etl.connectors.parquet.reading import AT, file_of, moved, relation
from prefect_etl.connectors.parquet.writing import link_files, write_rows
from prefect_etl.connectors.sql.staging import table_columns
from prefect_etl.core.load import Load
from prefect_etl.core.schema import Column
from prefect_etl.core.sql import identifier, literal
from prefect_etl.errors import SchemaError

if TYPE_CHECKING:
    import duckdb

# The places of rows that leave the table, in all its files and in those that are rewritten.
_GONE, _LEAVING = "_etl_gone", "_etl_leaving"
# More files of less than this in one partition are joined by the next load.
_SMALL, _SMALL_BYTES = 16, 32 * 2**20


@dataclass(frozen=True, slots=True)
class Built:
    """What a version holds.

    Attributes:
        files: All of them.
        made: Those that are new.
        inserted: Rows that came.
        removed: Rows that left.
    """

    files: tuple[DataFile, ...]
    made: tuple[DataFile, ...]
    inserted: int
    removed: int


@dataclass(frozen=True, slots=True)
class Building:
    """A version that is being built.

    Attributes:
        cursor: On which everything of the load is done.
        load: The load.
        before: The folder of the version that holds; None where the load begins anew.
        ledger: What that version says; None where the load begins anew.
        folder: Where the new version is built.
        stem: What the names of its new files begin with.
    """

    cursor: duckdb.DuckDBPyConnection
    load: Load
    before: Path | None
    ledger: Ledger | None
    folder: Path
    stem: str

    @property
    def columns(self) -> list[Column]:
        """The table's columns after the load."""
        return table_columns(self.load)

    @property
    def partitions(self) -> tuple[str, ...]:
        """The columns whose values make folders, spelled as the table spells them."""
        schema = self.load.evolution.schema
        return tuple(schema[name].name for name in self.load.dataset.partition_by)

    @property
    def present(self) -> tuple[DataFile, ...]:
        """The files of the version that holds."""
        return self.ledger.files if self.ledger else ()

    def rows(self, files: Sequence[DataFile] | None = None) -> str:
        """A SELECT of rows that the table has, in its new columns, each with its place."""
        if self.before is None or self.ledger is None:
            return relation(self.folder, (), self.columns, ())
        chosen = self.present if files is None else files
        return relation(self.before, chosen, self.columns, self.ledger.partition_by)

    def write(self, added: str, gone: str | None = None) -> Built:
        """Write what has to be written, and link the rest.

        Args:
            added: A SELECT of the rows that come, in the table's columns.
            gone: A SELECT of the places of rows that leave; None where none does.
        """
        leaving = self._leaving(gone)
        chosen = self._rewritten(leaving)
        files = [self.present[index] for index in chosen]
        staying = self._staying(chosen, files, leaving)
        names = ", ".join(identifier(column.name) for column in self.columns)
        select = f"SELECT {names} FROM ({added})"
        if staying is not None:
            select = f"SELECT {names} FROM ({staying}) UNION ALL {select}"
        made = self._written(select, self.partitions)
        stayed = sum(file.rows for file in files) - leaving.total()
        inserted = sum(file.rows for file in made) - stayed
        others = set(range(len(self.present))) - set(chosen)
        kept = [self.present[index] for index in sorted(others) if self.present[index].rows]
        if self.before is not None:
            link_files(kept, self.before, self.folder)
        made = self._without_empty(made) if kept or inserted + stayed else self._empty(made)
        return Built((*kept, *made), tuple(made), inserted, leaving.total())

    def _written(self, select: str, partitions: Sequence[str]) -> list[DataFile]:
        return write_rows(
            self.cursor,
            select,
            self.folder,
            columns=self.columns,
            partitions=partitions,
            stem=self.stem,
        )

    def _without_empty(self, made: list[DataFile]) -> list[DataFile]:
        for file in made:
            if not file.rows:
                (self.folder / file.path).unlink()
        return [file for file in made if file.rows]

    def _empty(self, made: list[DataFile]) -> list[DataFile]:
        """One file without rows: readers learn the columns of an empty table from it."""
        return made[:1] or self._written(self.rows(()), ())

    def _leaving(self, gone: str | None) -> Counter[int]:
        """How many rows leave each file."""
        if gone is None:
            return Counter()
        self.cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE {_GONE} AS SELECT DISTINCT {AT} FROM ({gone})"
        )
        counted = self.cursor.execute(
            f"SELECT {file_of(AT)}, count(*) FROM {_GONE} GROUP BY 1"
        ).fetchall()
        return Counter(dict(counted))

    def _staying(
        self, indexes: list[int], files: list[DataFile], leaving: Counter[int]
    ) -> str | None:
        """A SELECT of the rows that stay of files that are rewritten; None where there are none."""
        if sum(file.rows for file in files) == leaving.total():
            return None
        rows = self.rows(files)
        if not leaving:
            return rows
        now = f"SELECT unnest({literal(indexes)}) AS old, unnest(range({len(indexes)})) AS new"
        self.cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE {_LEAVING} AS SELECT {moved(AT, 'new')} AS {AT} "
            f"FROM {_GONE} JOIN ({now}) ON old = {file_of(AT)}"
        )
        return f"SELECT * FROM ({rows}) WHERE {AT} NOT IN (SELECT {AT} FROM {_LEAVING})"

    def _rewritten(self, leaving: Counter[int]) -> list[int]:
        """The files of which rows leave, which are written in another way, or too small."""
        if self.ledger is None:
            return []
        if self.load.evolution.widened or self.ledger.partition_by != self.partitions:
            return list(range(len(self.present)))
        small = {i: f.partition for i, f in enumerate(self.present) if f.size < _SMALL_BYTES}
        crowds = Counter(small.values())
        crowded = {index for index, partition in small.items() if crowds[partition] > _SMALL}
        return sorted({*leaving, *crowded})

    def assert_widening(self) -> None:
        """Check that every value survives the widening of its column.

        Raises:
            SchemaError: One would not.
        """
        if self.before is None or self.ledger is None or self.ledger.state.schema is None:
            return
        table = self.ledger.state.schema
        rows = relation(self.before, self.present, table, self.ledger.partition_by)
        for name, old, new in self.load.evolution.widened:
            column = identifier(name)
            back = f"TRY_CAST(CAST({column} AS {new}) AS {old})"
            changed = self.cursor.execute(
                f"SELECT {column} FROM ({rows}) WHERE {back} IS DISTINCT FROM {column} LIMIT 1"
            ).fetchone()
            if changed is not None:
                raise SchemaError(
                    f"{self.load.dataset.name}: column {name} would be widened from {old} to "
                    f"{new}, and its value {changed[0]} would change",
                    hint="Pin its type with types: {column: type}.",
                )
