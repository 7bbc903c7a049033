"""From the raw zone to the table: prepare, check, put bad rows aside, publish, record, sweep."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.cursor import Window
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadResult, LoadUnit
from prefect_etl.core.manifest import LoadRecord, Manifest
from prefect_etl.core.plan import DatasetPlan
from prefect_etl.core.report import DatasetReport
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Batch
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ContractError, StorageError, VersionConflict
from prefect_etl.pipeline.check import Checked, assert_acceptable, check
from prefect_etl.pipeline.extract import Extracted
from prefect_etl.pipeline.keys import apart, keys_sql
from prefect_etl.pipeline.numbering import Numbered, number
from prefect_etl.pipeline.planner import loads_to_replay, table_name
from prefect_etl.pipeline.prepare import Prepared, prepare
from prefect_etl.pipeline.quarantine import Quarantine, QuarantineEntry
from prefect_etl.pipeline.quarantine_table import publish_table
from prefect_etl.pipeline.rejected import Unreadable, with_unreadable
from prefect_etl.pipeline.setting_aside import Replaying, SettingAside
from prefect_etl.pipeline.standing import OLDER, REPLAYED, after, published
from prefect_etl.pipeline.unchanged import has_the_same_keys, holds_the_same
from prefect_etl.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)


def load_dataset(workspace: Workspace, plan: DatasetPlan, extracted: Extracted) -> DatasetReport:
    """Publish what was extracted, in one transaction of the destination.

    Raises:
        VersionConflict: Another run was first: plan again.
        ContractError: The rows break their contract; nothing was published.
        SchemaError: They do not fit the table; nothing was published.
        EtlError: As the destination says.
    """
    started = time.monotonic()
    spec = workspace.dataset(plan.dataset).spec
    lineage = None if plan.refresh else plan.state.lineage
    loading = Loading(workspace, spec, plan.state, lineage, refresh=plan.refresh)
    report = (not plan.refresh and loading.unneeded(extracted.manifests)) or loading.publish(
        extracted.manifests
    )
    seconds = time.monotonic() - started
    return replace(
        report,
        reason=report.reason or "; ".join(plan.reasons),
        reused=extracted.reused,
        bytes=plan.size,
        extract_seconds=extracted.seconds,
        load_seconds=seconds,
        seconds=extracted.seconds + seconds,
    )


def replay_loads(workspace: Workspace, plan: DatasetPlan) -> DatasetReport:
    """Publish again, from the raw zone, the loads that the destination lost.

    Raises:
        ReplayGapError: They are not all there.
    """
    started = time.monotonic()
    spec = workspace.dataset(plan.dataset).spec
    zone = workspace.raw.dataset(plan.dataset)
    state = plan.state
    report = DatasetReport(spec.name, table_name(spec), "replayed", write=spec.write)
    for record in loads_to_replay(spec.name, state, zone.records()):
        manifests = zone.batches_of(record)
        loading = Loading(
            workspace, spec, state, record.lineage, refresh=record.refresh, replays=record.version
        )
        done = loading.publish(manifests)
        report = replace(
            report,
            version=done.version,
            units=report.units + done.units,
            reused=report.reused + len(manifests),
            counts=report.counts + done.counts,
        )
        state = workspace.destination.state(spec)
    seconds = time.monotonic() - started
    reason = "; ".join(plan.reasons)
    return replace(report, reason=reason, seconds=seconds, load_seconds=seconds)


def settle_last_load(workspace: Workspace, plan: DatasetPlan) -> None:
    """Do what follows a commit, where the run that committed died before it had."""
    state, spec = plan.state, workspace.dataset(plan.dataset).spec
    zone = workspace.raw.dataset(plan.dataset)
    if not state.version:
        return
    if not zone.has_record(state.version, state.lineage):
        record = workspace.destination.last_load(spec)
        if record is not None:
            found = (zone.manifest(name) for name in record.batches)
            _settle(workspace, spec, record, [manifest for manifest in found if manifest])
    elif plan.action == "skip":  # a load sweeps when it is done
        zone.sweep(state.version, state.lineage, workspace.options.raw_retention_days)
    _show_quarantine(workspace, spec)


def _show_quarantine(workspace: Workspace, spec: DatasetSpec) -> None:
    """Make the table of quarantine follow its files; those that are old go once it has."""
    publish_table(workspace, spec)
    Quarantine(workspace.quarantine).sweep(spec.name, workspace.options.raw_retention_days)


def _settle(
    workspace: Workspace,
    spec: DatasetSpec,
    record: LoadRecord,
    read: Sequence[Manifest] | None,
) -> None:
    """All that follows a commit; the record comes last but one, as the sign that it was done.

    Args:
        workspace: The pipeline.
        spec: The dataset.
        record: The load.
        read: Its batches; None where a load that was lost came again, which is no news.
    """
    zone, days = workspace.raw.dataset(spec.name), workspace.options.raw_retention_days
    if read is not None:
        quarantine = Quarantine(workspace.quarantine)
        load = published(record, spec, read, window_of(read))
        quarantine.settle(record, spec.name, workspace.run_id, lambda entry: after(entry, load))
    zone.record(record)
    zone.sweep(record.version, record.lineage, days)


@contextmanager
def _readable(files: Sequence[Path]) -> Iterator[None]:
    """Tell of a file of the raw zone that could not be read; whoever reads it, reads it late.

    Raises:
        VersionConflict: It is gone: another run used it and swept it.
        StorageError: It is damaged.
    """
    import duckdb

    try:
        yield
    except (duckdb.Error, StorageError) as error:
        for path in files:
            if not path.exists():
                raise VersionConflict(f"{path} was removed meanwhile", hint="Run again.") from error
            if str(path) in str(error):
                said = str(error).splitlines()[0]
                raise StorageError(
                    f"{path} cannot be read: {said}",
                    hint=f"If it is damaged, remove {path.parent}; then run again.",
                ) from error
        raise


def window_of(read: Sequence[Manifest | Batch]) -> Window | None:
    """The window that was read; None where the source was not read by its cursor."""
    readings = [batch.reading for batch in read if "upper" in batch.reading]
    if not readings:
        return None
    first = readings[0]
    return Window(
        first.get("lower"), first["upper"], bool(first.get("nulls")), bool(first.get("open"))
    )


def highest_cursor(session: Session, column: Column, rows: str, before: str | None) -> str | None:
    """The highest cursor of some rows, or the one before where that is higher; as text."""
    highest = f"greatest(max({identifier(column.name)}), CAST({literal(before)} AS {column.type}))"
    ((found,),) = session.query(f"SELECT CAST({highest} AS VARCHAR) FROM ({rows})")
    return None if found is None else str(found)


@dataclass(frozen=True, slots=True)
class Loading:
    """One load of one dataset, step by step.

    Attributes:
        workspace: The pipeline.
        spec: The dataset.
        state: What the ledger knows of its table.
        lineage: The history that the load belongs to; a new one begins if None.
        refresh: Whether it begins from an empty table.
        replays: The version that it made when it was first published, where it comes again.
        judges: The file of quarantine whose rows are judged again, alone or with their load.
        replaying: They, where they are loaded alone.
    """

    workspace: Workspace
    spec: DatasetSpec
    state: LedgerState
    lineage: str | None
    refresh: bool
    replays: int | None = None
    judges: QuarantineEntry | None = None
    replaying: Replaying | None = None

    def unneeded(self, manifests: Sequence[Manifest]) -> DatasetReport | None:
        """The report of a load that would change nothing; None where it may."""
        zone = self.workspace.raw.dataset(self.spec.name)
        session = self.workspace.session
        if any(manifest.rejected for manifest in manifests):  # they are to be told of again
            return None
        same = holds_the_same(session, zone, self.spec, self.state, manifests)
        if not (same or has_the_same_keys(session, zone, self.state, manifests)):
            return None
        for manifest in manifests:
            zone.discard(manifest.batch_id)
        rows = sum(manifest.rows for manifest in apart(manifests)[0])
        return DatasetReport(
            dataset=self.spec.name,
            table=table_name(self.spec),
            status="unchanged",
            reason="the source holds the same rows as before",
            write=self.spec.write,
            version=self.state.version,
            counts=Accounting(read=rows, unchanged=rows),
        )

    def publish(self, manifests: Sequence[Manifest]) -> DatasetReport:
        """Publish batches of the raw zone."""
        zone = self.workspace.raw.dataset(self.spec.name)
        with _readable([zone.data(manifest.batch_id) for manifest in manifests]):
            report = self._publish(manifests)
        _show_quarantine(self.workspace, self.spec)
        return report

    def _publish(self, manifests: Sequence[Manifest]) -> DatasetReport:
        zone = self.workspace.raw.dataset(self.spec.name)
        read, keys = apart(manifests)
        numbered = number(zone, read, self.spec, self.state)
        table = None if self.refresh else self.state.schema
        prepared = prepare(numbered.files, self.spec, table)
        unreadable = self._unreadable(numbered)
        checked = check(self.workspace.session, prepared, self._judged, numbered.read())
        checked = with_unreadable(self.workspace.session, checked, unreadable, self.spec)
        units = tuple(
            LoadUnit(number, m.units[i].unit, m.batch_id, checked.counts[number], m.created_ns)
            for number, m, i in numbered.units
        )
        if self._useless(checked):
            return self._as_bad_as_before(manifests, checked)
        entry = self._put_aside(prepared, checked, unreadable, numbered)
        try:
            assert_acceptable(checked, self._judged, entry.path if entry else None)
        except ContractError:
            self._forget_windows(manifests)
            raise
        window = window_of(manifests)
        load = Load(
            pipeline=self.workspace.spec.name,
            dataset=self.spec,
            state=self.state,
            evolution=prepared.evolution,
            units=units,
            rows=checked.good,
            batches=tuple(manifest.batch_id for manifest in manifests),
            run_id=self.workspace.run_id,
            lineage=self.lineage,
            refresh=self.refresh,
            window=window,
            cursor=self._cursor(prepared.evolution.schema, checked.good, window),
            # A key whose row is put aside is not missing, and nothing tells one from the other.
            whole=self._whole(manifests) and not checked.quarantined,
            keys=keys_sql(zone, keys, self.spec, prepared.evolution.schema),
            moment=datetime.fromtimestamp(min(m.created_ns for m in manifests) / 1e9, UTC),
            replays=self.replays,
            older=any(m.reading.get(OLDER) for m in manifests),
        )
        result = self.workspace.destination.commit(load)
        record = LoadRecord(
            version=result.version,
            lineage=result.lineage,
            batches=load.batches,
            run_id=load.run_id,
            refresh=load.refresh,
            committed_ns=time.time_ns(),
        )
        try:
            _settle(self.workspace, self.spec, record, None if self.replays else manifests)
        except StorageError as error:  # the load is published, and the next run settles it
            logger.warning("%s", error)
        report = self._report(load, result, checked, entry)
        return replace(report, repairs=tuple(r for m in manifests for r in m.repairs))

    def _forget_windows(self, manifests: Sequence[Manifest]) -> None:
        """Let a source that is mended be read again: its windows, unlike files, look as before.

        What was read for a first load is kept, because it may be all of a large table.
        """
        if not self.state.version or self.replays is not None:
            return
        for manifest in manifests:
            if "of" in manifest.reading:
                self.workspace.raw.dataset(self.spec.name).discard(manifest.batch_id)

    def _cursor(self, schema: TableSchema, rows: str, window: Window | None) -> str | None:
        """The highest cursor ever loaded; of rows that lose or are deleted, too."""
        before = None if self.refresh else self.state.cursor
        if window is not None and not window.open:
            return window.upper
        if self.spec.cursor_column is None:
            return before
        return highest_cursor(self.workspace.session, schema[self.spec.cursor_column], rows, before)

    def _whole(self, manifests: Sequence[Manifest]) -> bool:
        """Whether the rows are all that the source has: it knows, or its user says so."""
        if any(REPLAYED in m.reading or "upper" in m.reading for m in manifests):
            return False
        return self.spec.missing == "delete" or all(m.reading.get("whole") for m in manifests)

    def _unreadable(self, numbered: Numbered) -> Unreadable:
        zone = self.workspace.raw.dataset(self.spec.name)
        found = ((zone.rejects(file.manifest), file.unit_ids) for file in numbered.files)
        files = tuple((path, unit_ids) for path, unit_ids in found if path is not None)
        return Unreadable(numbered.rejected(), files)

    def _put_aside(
        self, prepared: Prepared, checked: Checked, unreadable: Unreadable, numbered: Numbered
    ) -> QuarantineEntry | None:
        if self.replays is not None:  # what a lost load put aside is there already
            return None
        if not (checked.quarantined or self.replaying):
            return None
        aside = SettingAside(
            self.workspace,
            self.spec,
            self.state.version + 1,
            numbered,
            prepared,
            checked,
            unreadable,
            self.replaying,
        )
        return aside.write()

    @property
    def _judged(self) -> DatasetSpec:
        """The dataset as rows are judged: a share of rows from quarantine says nothing."""
        if self.replaying is None or self.spec.contract is None:
            return self.spec
        contract = self.spec.contract.model_copy(update={"max_rejected": None})
        return self.spec.model_copy(update={"contract": contract})

    def _useless(self, checked: Checked) -> bool:
        """Whether rows from quarantine are as bad as they were."""
        if self.judges is None:
            return False
        if self.replaying is None:
            return set(checked.rules) == set(self.judges.rules)
        known = {(rule.rule, rule.reason) for rule in self.judges.rules}
        same = all((rule.rule, rule.reason) in known for rule in checked.rules)
        return same and checked.read == checked.quarantined

    def _as_bad_as_before(self, manifests: Sequence[Manifest], checked: Checked) -> DatasetReport:
        for manifest in manifests:
            if REPLAYED in manifest.reading:
                self.workspace.raw.dataset(self.spec.name).discard(manifest.batch_id)
        rows = checked.quarantined
        return DatasetReport(
            dataset=self.spec.name,
            table=table_name(self.spec),
            status="unchanged",
            reason="its rows break the same rules as before",
            write=self.spec.write,
            version=self.state.version,
            counts=Accounting(read=rows, quarantined=rows),
            rules=checked.rules,
        )

    def _report(
        self, load: Load, result: LoadResult, checked: Checked, entry: QuarantineEntry | None
    ) -> DatasetReport:
        return DatasetReport(
            dataset=self.spec.name,
            table=table_name(self.spec),
            status="loaded",
            write=self.spec.write,
            version=result.version,
            units=len(load.units),
            counts=total(list(result.counts.values())),
            schema_changes=tuple(load.evolution.describe()),
            rules=(*checked.rules, *result.warned),
            quarantine=entry.path if entry else None,
        )
