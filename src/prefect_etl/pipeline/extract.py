"""From a plan to the raw zone: reads what the raw zone does not hold yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace

from prefect_etl.connectors.base import Refinable, Source
from prefect_etl.core.manifest import Manifest
from prefect_etl.core.plan import DatasetPlan
from prefect_etl.core.unit import Batch
from prefect_etl.errors import SourceReadError
from prefect_etl.pipeline.planner import held
from prefect_etl.pipeline.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a load is made of: its batches in the raw zone, in the plan's order.

    Attributes:
        manifests: One a batch.
        reused: How many were there before.
        seconds: Wall time.
    """

    manifests: tuple[Manifest, ...]
    reused: int = 0
    seconds: float = 0.0


ExtractBatch = Callable[[DatasetPlan, Batch], Manifest]


def extract_batch(workspace: Workspace, plan: DatasetPlan, batch: Batch) -> Manifest:
    """Read one batch from its source into the raw zone.

    Raises:
        SourceReadError: It cannot be read as its format says.
        SourceChangedError: It changed while it was read; nothing was kept.
        StorageError: The disk refused.
    """
    sourced = workspace.dataset(plan.dataset)
    zone = workspace.raw.dataset(plan.dataset)
    lineage = None if plan.refresh else plan.state.lineage
    written: Manifest | None = None
    try:
        with workspace.source(sourced).read(batch) as rows:
            written = zone.write(
                batch,
                rows,
                workspace.session,
                extends=plan.state.version,
                lineage=lineage,
                limit=workspace.options.limit,
            )
    except BaseException:  # also Ctrl-C: a batch whose source was not confirmed must not stay
        if written is not None:
            zone.drop(written)
        raise
    zone.keep(written)
    return written


def extract_dataset(workspace: Workspace, plan: DatasetPlan, extract: ExtractBatch) -> Extracted:
    """Read all batches of a plan that the raw zone does not hold.

    Where values do not fit the types that a source guessed, it may guess again for the whole load;
    what was read with the old guess is then read again, so that all files of a load agree.

    Args:
        workspace: Where the raw zone is.
        plan: What to read.
        extract: Reads one batch; called from several threads.

    Raises:
        EtlError: As :func:`extract_batch`.
    """
    started = time.monotonic()
    source = workspace.source(workspace.dataset(plan.dataset))
    zone = workspace.raw.dataset(plan.dataset)
    while True:
        found = held(zone, plan)
        missing = [b for b, m in zip(plan.batches, found, strict=True) if m is None]
        try:
            read = iter(_extract_all(workspace, plan, missing, extract))
        except BatchError as error:
            plan = _refined(source, plan, error)
            continue
        manifests = tuple(manifest or next(read) for manifest in found)
        reused = len(plan.batches) - len(missing)
        return Extracted(manifests, reused, time.monotonic() - started)


class BatchError(Exception):
    """A batch that could not be read, with the error that says why."""

    def __init__(self, batch: Batch, error: SourceReadError) -> None:
        super().__init__(batch, error)
        self.batch = batch
        self.error = error


def _refined(source: Source, plan: DatasetPlan, failure: BatchError) -> DatasetPlan:
    refined = None
    if isinstance(source, Refinable):
        refined = source.refine(plan.batches, failure.batch, plan.state.schema)
    if refined is None:
        raise failure.error
    return replace(plan, batches=tuple(refined))


def _extract_all(
    workspace: Workspace, plan: DatasetPlan, batches: Sequence[Batch], extract: ExtractBatch
) -> list[Manifest]:
    def one(batch: Batch) -> Manifest:
        try:
            return extract(plan, batch)
        except SourceReadError as error:
            raise BatchError(batch, error) from error

    if len(batches) < 2 or workspace.options.concurrency < 2:
        return [one(batch) for batch in batches]
    # Contexts are copied so that what extends a run (its id in the log, a flow's context) is there.
    with ThreadPoolExecutor(workspace.options.concurrency, "extract") as pool:
        futures = [pool.submit(copy_context().run, one, batch) for batch in batches]
        try:
            return [future.result() for future in futures]
        except BaseException as error:  # also Ctrl-C: what has not begun must not begin
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):  # nor what has begun be waited for
                workspace.interrupt()
            raise
