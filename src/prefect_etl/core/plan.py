"""What a run would do, and why, before anything is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.unit import Batch, Unit

Action = Literal["load", "replay", "skip", "blocked"]
# The reason of a dataset that is skipped, where there is no more to say.
NOTHING_NEW = "nothing new"


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """What a run would do with one dataset.

    Attributes:
        dataset: Its name.
        table: ``schema.table`` in the destination.
        action: ``load``, ``replay`` (from the raw zone), ``skip``, or ``blocked`` by an error.
        reasons: Why, in words.
        state: The ledger state that it was made from.
        batches: What is to be in the load, in order; those that the raw zone holds are not read
            again.
        pending: How many of them the raw zone holds.
        removed: Positions that the source no longer has.
        schema_changes: In words, as far as they can be told before reading.
        refresh: Whether the load begins from an empty table.
        resumes: Whether it does what another run began; what is new since then comes after it.
        error: Why it is blocked.
        hint: What to do about that.
    """

    dataset: str
    table: str
    action: Action
    reasons: tuple[str, ...]
    state: LedgerState = field(default_factory=LedgerState)
    batches: tuple[Batch, ...] = ()
    pending: int = 0
    removed: tuple[str, ...] = ()
    schema_changes: tuple[str, ...] = ()
    refresh: bool = False
    resumes: bool = False
    error: str | None = None
    hint: str | None = None

    @property
    def units(self) -> tuple[Unit, ...]:
        """The units of all batches, in order."""
        return tuple(unit for batch in self.batches for unit in batch.units)

    @property
    def size(self) -> int:
        """Bytes to read at the source; 0 where unknown."""
        return sum(batch.size for batch in self.batches)


@dataclass(frozen=True, slots=True)
class TransformationPlan:
    """What a run would do with one transformation."""

    name: str
    table: str
    action: Literal["run", "skip", "blocked"]
    reasons: tuple[str, ...]
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would do, in the order in which it would."""

    pipeline: str
    datasets: tuple[DatasetPlan, ...]
    transformations: tuple[TransformationPlan, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether a run would do nothing."""
        return all(d.action == "skip" for d in self.datasets) and all(
            t.action == "skip" for t in self.transformations
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, without what only the program needs."""
        return {
            "pipeline": self.pipeline,
            "empty": self.empty,
            "datasets": [
                {
                    "dataset": plan.dataset,
                    "table": plan.table,
                    "action": plan.action,
                    "reasons": list(plan.reasons),
                    "version": plan.state.version,
                    "units": len(plan.units),
                    "pending": plan.pending,
                    "bytes": plan.size,
                    "removed": list(plan.removed),
                    "schema_changes": list(plan.schema_changes),
                    "refresh": plan.refresh,
                    "error": plan.error,
                }
                for plan in self.datasets
            ],
            "transformations": [asdict(plan) for plan in self.transformations],
        }
