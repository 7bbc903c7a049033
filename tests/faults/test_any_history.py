"""Whatever happens to files, runs and warehouse, tables hold what a plain model says they should.

Hypothesis makes up histories: files appear, change and vanish; runs end well, or are killed at some
step; an older copy of the warehouse is put back. After each of these, tables are compared with what
a few lines of Python say: a load was published whole or not at all.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import duckdb
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from shop import SOAK
from steps import Step, watch

from prefect_etl.core.report import RunReport
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace

MODES = ("append", "merge", "replace")
NAMES = st.sampled_from(["a", "b", "c", "d"])
# (id, value, updated): few ids and days, so that rows meet.
ROWS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 99), st.integers(1, 9)), min_size=0, max_size=4
)
Row = tuple[int, int, int]
Files = dict[str, tuple[Row, ...]]


class Killed(BaseException):
    """As if the process had been killed at this step."""


@dataclass
class Model:
    """What the tables have to hold, and what is known of files, in plain Python."""

    known: dict[str, Files] = field(default_factory=lambda: {mode: {} for mode in MODES})
    merged: dict[int, Row] = field(default_factory=dict)
    deleted: dict[int, int] = field(default_factory=dict)

    def load(self, mode: str, files: Files) -> None:
        """A load was published."""
        known = self.known[mode]
        if mode == "merge":
            new = [name for name in sorted(files) if known.get(name) != files[name]]
            self._merge([row for name in new for row in files[name]])
        self.known[mode] = dict(files) if mode == "replace" else known | files

    def misses(self, mode: str, files: Files) -> bool:
        """Whether something is there that was not loaded."""
        known = self.known[mode]
        return known != files if mode == "replace" else known | files != known

    def _merge(self, rows: list[Row]) -> None:
        """Of the rows of a key in one load the last of the highest cursor counts."""
        winners: dict[int, Row] = {}
        for row in rows:
            if row[0] not in winners or row[2] >= winners[row[0]][2]:
                winners[row[0]] = row
        for key, row in winners.items():
            there, gone = self.merged.get(key), self.deleted.get(key)
            if row[2] < max(there[2] if there else 0, gone or 0):
                continue
            if row[1] == 0:  # deleted_when: value = 0
                self.merged.pop(key, None)
                self.deleted[key] = row[2]
            else:
                self.merged[key] = row
                self.deleted.pop(key, None)

    def tables(self) -> dict[str, Counter[Row]]:
        return {
            "append": Counter(row for rows in self.known["append"].values() for row in rows),
            "merge": Counter(self.merged.values()),
            "replace": Counter(row for rows in self.known["replace"].values() for row in rows),
        }


class History(RuleBasedStateMachine):
    """Files, runs and the warehouse, and what becomes of them."""

    @initialize()
    def begin(self) -> None:
        memory = Path("/dev/shm")
        self.root = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        (self.root / "data").mkdir()
        self.warehouse = self.root / "warehouse.duckdb"
        shared = {"path": "*.csv", "types": dict.fromkeys(("id", "value", "updated"), "BIGINT")}
        self.spec = pipeline_from(
            name="history",
            destination="duckdb:///warehouse.duckdb",
            sources={
                "landing": {
                    "connection": "file://./data",
                    "datasets": {
                        "append": shared,
                        "merge": shared
                        | {
                            "write": "merge",
                            "key": "id",
                            "cursor": "updated",
                            "deleted_when": "value = 0",
                        },
                        "replace": shared | {"write": "replace"},
                    },
                }
            },
            root=self.root,
        )
        self.files: Files = {}
        self.model = Model()
        self.versions = dict.fromkeys(MODES, 0)  # that the model speaks of
        self.copied = False

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule(name=NAMES, rows=ROWS)
    def a_file_appears_or_changes(self, name: str, rows: list[Row]) -> None:
        text = "id,value,updated\n" + "".join(f"{i},{v},{u}\n" for i, v, u in rows)
        (self.root / "data" / f"{name}.csv").write_text(text)
        self.files[name] = tuple(rows)

    @precondition(lambda self: len(self.files) > 1)
    @rule(data=st.data())
    def a_file_vanishes(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        (self.root / "data" / f"{name}.csv").unlink()
        del self.files[name]

    @precondition(lambda self: self.files)
    @rule()
    def a_run_ends_well(self) -> None:
        assert self._run().status == "completed"
        self._follow()
        assert self._versions() == self.versions
        assert not [mode for mode in MODES if self.model.misses(mode, self.files)]

    @precondition(lambda self: self.files)
    @rule(step=st.integers(1, 110))
    def a_run_is_killed(self, step: int) -> None:
        self._kill(step)
        self._follow()

    @precondition(lambda self: self.warehouse.exists())
    @rule()
    def the_warehouse_is_copied(self) -> None:
        shutil.copy(self.warehouse, self.root / "copy.duckdb")
        self.copied = True

    @precondition(lambda self: self.copied)
    @rule()
    def an_older_copy_of_the_warehouse_is_put_back(self) -> None:
        self._lose()
        shutil.copy(self.root / "copy.duckdb", self.warehouse)

    @precondition(lambda self: self.warehouse.exists())
    @rule()
    def the_warehouse_is_lost(self) -> None:
        self._lose()

    @invariant()
    def the_tables_are_as_the_model_says(self) -> None:
        current = [mode for mode, v in self._versions().items() if v == self.versions[mode] > 0]
        if not current:
            return
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            found = {
                mode: Counter(
                    connection.execute(f'SELECT id, "value", updated FROM "{mode}"').fetchall()
                )
                for mode in current
            }
            unbalanced = connection.execute(
                "SELECT * FROM _prefect_etl.loads WHERE rows_read <> rows_inserted + rows_updated "
                "+ rows_unchanged + rows_deleted + rows_superseded + rows_filtered "
                "+ rows_quarantined"
            ).fetchall()
        tables = self.model.tables()
        assert found == {mode: tables[mode] for mode in current}
        assert unbalanced == []

    def _run(self) -> RunReport:
        with open_workspace(self.spec, Options(concurrency=1, threads=1)) as workspace:
            return run_pipeline(workspace)

    def _kill(self, step: int) -> None:
        numbers = count(1)
        dead = False

        def before(_: Step) -> None:
            # Once dead, nothing else that would tidy up gets anything done.
            nonlocal dead
            dead = dead or next(numbers) == step
            if dead:
                raise Killed

        with suppress(Killed), watch(before=before):
            self._run()

    def _lose(self) -> None:
        self.warehouse.unlink(missing_ok=True)
        self.warehouse.with_name("warehouse.duckdb.wal").unlink(missing_ok=True)

    def _versions(self) -> dict[str, int]:
        """The versions of the tables, as the warehouse's ledger has them."""
        found = dict.fromkeys(MODES, 0)
        if self.warehouse.exists():
            with (
                duckdb.connect(str(self.warehouse), read_only=True) as connection,
                suppress(duckdb.CatalogException),
            ):
                found |= dict(
                    connection.execute(
                        "SELECT table_name, version FROM _prefect_etl.tables"
                    ).fetchall()
                )
        return found

    def _follow(self) -> None:
        """Tell the model which loads were published, one of a table at most."""
        for mode, version in self._versions().items():
            if version > self.versions[mode]:
                assert version == self.versions[mode] + 1
                self.model.load(mode, self.files)
                self.versions[mode] = version


TestAnyHistory = History.TestCase
TestAnyHistory.settings = settings(
    max_examples=600 if SOAK else 35,
    stateful_step_count=30 if SOAK else 14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
