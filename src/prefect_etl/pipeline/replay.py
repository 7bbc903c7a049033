"""Loads rows from quarantine, once they satisfy the contract, exactly once.

A replay is a load as any other. Its rows are first kept as a raw batch; its commit leaves a unit in
the ledger whose position names the file of quarantine; then the file is closed, and what failed
again stands in a new one. Whoever is killed in between has left a batch that nobody needs, or a
commit that the next run or replay finds in the ledger, and closes the file.

What a replayed row may do to a table depends on how it is written. In an append it belongs to the
file it was in, and is replaced with it. With a cursor it is a late row, and a newer one of its key
stays. Without a cursor it loses where its key is there; but while no other load came after its own,
that load's batches are judged again as a whole, which gives what it should have given. A table that
is replaced is always judged again as a whole.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.manifest import Manifest
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.plan import DatasetPlan
from prefect_etl.core.report import DatasetReport, RunReport
from prefect_etl.core.unit import replay_position
from prefect_etl.errors import ConfigError, ReplayGapError, VersionConflict
from prefect_etl.pipeline.load import Loading, settle_last_load
from prefect_etl.pipeline.planner import loads_to_replay, table_name
from prefect_etl.pipeline.quarantine import Quarantine, QuarantineEntry
from prefect_etl.pipeline.replay_rows import Chosen, choose_rows, keep_rows
from prefect_etl.pipeline.run import failed, finish, logged
from prefect_etl.pipeline.setting_aside import Replaying
from prefect_etl.pipeline.standing import REPLAYED
from prefect_etl.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)
# Each loss of a race means that another run published, so this is never reached in practice.
_ATTEMPTS = 5


def replay_pipeline(workspace: Workspace, names: Sequence[tuple[str, str]]) -> RunReport:
    """Load what satisfies the contract now of some files of quarantine, in this process.

    Args:
        workspace: The pipeline.
        names: Dataset and name of each file.

    Returns:
        What was done with each file.
    """
    with logged(workspace) as begun:
        return finish(workspace, begun, [replay_file(workspace, *name) for name in names])


def entries_to_replay(workspace: Workspace, name: str | None) -> list[QuarantineEntry]:
    """The open files of a name, newest first: where two have rows of a key, the newer one wins.

    Args:
        workspace: The pipeline.
        name: A dataset, the name of a file, or ``DATASET/NAME``; all that is open if None.

    Raises:
        ConfigError: Nothing has this name.
    """
    known = {sourced.spec.name for sourced in workspace.spec.datasets}
    entries = [e for e in Quarantine(workspace.quarantine).entries() if e.dataset in known]
    if name is not None:
        named = [e for e in entries if name in (e.dataset, e.name, f"{e.dataset}/{e.name}")]
        if not named and name not in known:
            names = known | {entry.name for entry in entries}
            raise ConfigError(
                f"nothing is in quarantine as {name}{did_you_mean(name, names)}",
                hint="See `prefect-etl quarantine list`.",
            )
        entries = named
    found = [entry for entry in entries if not entry.closed]
    return sorted(found, key=lambda entry: (entry.dataset, -entry.version))


def replay_file(workspace: Workspace, dataset: str, name: str) -> DatasetReport:
    """Load the rows of one file of quarantine; a failure is a report.

    Where another run publishes first, what was prepared is discarded, and looked at again.

    Args:
        workspace: The pipeline.
        dataset: The dataset's name.
        name: The file's name.
    """
    started = time.monotonic()
    try:
        report = _replay(workspace, dataset, name)
    except Exception as error:  # noqa: BLE001 - one file's failure must not stop the others
        report = failed(workspace, dataset, error)
    seconds = time.monotonic() - started
    reason = f"replay of {name}{': ' * bool(report.reason)}{report.reason}"
    return replace(report, reason=reason, seconds=seconds, load_seconds=seconds)


def _replay(workspace: Workspace, dataset: str, name: str) -> DatasetReport:
    for _ in range(_ATTEMPTS):
        try:
            return _attempt(workspace, dataset, name)
        except VersionConflict as conflict:
            logger.info("%s; looking again", conflict.message)
    return _attempt(workspace, dataset, name)


def _attempt(workspace: Workspace, dataset: str, name: str) -> DatasetReport:
    spec = workspace.dataset(dataset).spec
    state = _settled_state(workspace, spec)
    quarantine = Quarantine(workspace.quarantine)
    entry = next((e for e in quarantine.entries(dataset) if e.name == name), None)
    if entry is None:
        raise ConfigError(f"nothing is in quarantine as {dataset}/{name} any more")
    return _Replay(workspace, spec, state, quarantine, entry).run()


def _settled_state(workspace: Workspace, spec: DatasetSpec) -> LedgerState:
    """What the ledger knows, once all was noted that follows the last load.

    Raises:
        ReplayGapError: The destination lost loads, which have to come again first.
    """
    state = workspace.destination.state(spec)
    zone = workspace.raw.dataset(spec.name)
    if loads_to_replay(spec.name, state, zone.records()):
        raise ReplayGapError(
            f"dataset {spec.name}: the destination is behind the raw zone",
            hint="Let a run bring back its loads first: prefect-etl run",
        )
    plan = DatasetPlan(spec.name, table_name(spec), "load", (), state)
    settle_last_load(workspace, plan)
    return state


@dataclass(frozen=True, slots=True)
class _Replay:
    """One file, and what is known of its table."""

    workspace: Workspace
    spec: DatasetSpec
    state: LedgerState
    quarantine: Quarantine
    entry: QuarantineEntry

    def run(self) -> DatasetReport:
        """Load what can be loaded."""
        if self.entry.closed:
            return self._nothing(self.entry.closed)
        if replay_position(self.entry.name) in self.state.units:
            return self._close("replayed in an earlier load")
        if why := self._hopeless():
            return self._nothing(why)
        if self.entry.lineage not in (None, self.state.lineage):
            return self._close("superseded: the table was begun anew")
        if self.spec.write == "replace" or (self.spec.keyed and self.spec.cursor is None):
            return self._run_without_order()
        # Of two rows with one cursor the one that was loaded since is the newer one.
        older = self.spec.keyed and self.state.version > self.entry.version
        chosen = choose_rows(self.workspace, self.entry, self.spec, self.state)
        return self._load(chosen, older=older)

    def _hopeless(self) -> str:
        """Why nothing of the file can be loaded, whatever its rows are; empty if it may."""
        if not self.entry.loaded:
            return "its load was not published: mend it, and run"
        if not self.entry.sources:
            return "it does not say which files its rows are of: load anew with --full-refresh"
        if self.spec.keyed and self.entry.read_again:
            return (
                "the table has forgotten which keys were deleted so long ago: read that time again "
                "with prefect-etl backfill, or all with --full-refresh"
            )
        if self.state.missing:
            return "the table is gone: load anew with --full-refresh"
        return ""

    def _run_without_order(self) -> DatasetReport:
        """Nothing in the rows says which of two is newer."""
        last = self._last_load()
        if last and not any(REPLAYED in manifest.reading for manifest in last):
            return self._judge_again(last)
        if self.spec.write == "replace":
            if self.state.version > self.entry.version:
                return self._close("superseded: a later load replaced the table")
            return self._nothing(
                "the raw zone does not hold its load any more: load anew with --full-refresh"
            )
        if self.spec.deleted_when is not None:
            return self._nothing(
                "a later load may have deleted its keys, and without cursor: nothing says whether: "
                "load anew with --full-refresh"
            )
        chosen = choose_rows(self.workspace, self.entry, self.spec, self.state)
        return self._load(chosen, older=True)

    def _last_load(self) -> list[Manifest]:
        """The batches of the file's load, where it is the last one and they are all there."""
        zone = self.workspace.raw.dataset(self.spec.name)
        if self.entry.version != self.state.version:
            return []
        for record in zone.records():
            if (record.version, record.lineage) == (self.state.version, self.state.lineage):
                try:
                    return zone.batches_of(record)
                except ReplayGapError:  # they were removed
                    return []
        return []

    def _judge_again(self, manifests: Sequence[Manifest]) -> DatasetReport:
        report = self._loading().publish(manifests)
        return replace(report, reused=len(manifests))

    def _load(self, chosen: Chosen, *, older: bool = False) -> DatasetReport:
        if not chosen.rows:
            if chosen.unreadable:
                return self._nothing(chosen.left_out)
            return self._close(f"superseded: {chosen.why_stale}")
        manifest = keep_rows(self.workspace, chosen, self.spec, self.state, older=older)
        report = self._loading(chosen.replaying).publish([manifest])
        reasons = [part for part in (report.reason, chosen.left_out) if part]
        return replace(report, reason="; ".join(reasons))

    def _loading(self, replaying: Replaying | None = None) -> Loading:
        return Loading(
            self.workspace,
            self.spec,
            self.state,
            self.state.lineage,
            refresh=False,
            judges=self.entry,
            replaying=replaying,
        )

    def _close(self, why: str) -> DatasetReport:
        self.quarantine.note(self.entry.close(why), self.workspace.run_id)
        return self._nothing(why)

    def _nothing(self, why: str) -> DatasetReport:
        """The report of a file of which nothing is loaded."""
        return DatasetReport(
            self.spec.name,
            table_name(self.spec),
            "unchanged",
            why,
            write=self.spec.write,
            version=self.state.version,
        )
