"""What a run did: the value that the terminal, the HTML report and the run log show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.aside import Repair

DatasetStatus = Literal["loaded", "replayed", "unchanged", "failed", "skipped"]
TransformationStatus = Literal["built", "unchanged", "failed", "skipped"]
RunStatus = Literal["running", "completed", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many rows broke one rule of a contract, and an example.

    ``on_violation`` says what became of them: quarantine, fail or warn.
    """

    rule: str
    reason: str
    rows: int
    on_violation: str


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What a run did with one dataset.

    Attributes:
        dataset: Its name.
        table: ``schema.table`` in the destination.
        status: ``loaded``, ``replayed``, ``unchanged``, ``failed`` or ``skipped``.
        reason: Why, in words; the error's message where it failed.
        hint: What to do next, where it failed.
        version: The ledger version after the run.
        units: Units in the load.
        reused: Units that the raw zone held already.
        counts: Where every row went.
        bytes: Bytes read at the source.
        seconds: Wall time; ``extract_seconds`` and ``load_seconds`` are parts of it.
        schema_changes: In words.
        rules: Broken rules with their counts.
        quarantine: Path of the quarantine file, where one was written.
        repairs: What the source mended while it read.
        window: The window of a backfill.
    """

    dataset: str
    table: str
    status: DatasetStatus
    reason: str = ""
    hint: str = ""
    write: str = "append"
    version: int = 0
    units: int = 0
    reused: int = 0
    counts: Accounting = field(default_factory=Accounting)
    bytes: int = 0
    seconds: float = 0.0
    extract_seconds: float = 0.0
    load_seconds: float = 0.0
    schema_changes: tuple[str, ...] = ()
    rules: tuple[RuleCount, ...] = ()
    quarantine: str | None = None
    repairs: tuple[Repair, ...] = ()
    window: str = ""

    def followed_by(self, later: DatasetReport) -> DatasetReport:
        """Both in one: what was done for an earlier run, and then what was new since.

        Example:
            >>> first = DatasetReport("d", "d", "replayed", "2 loads were lost", units=2)
            >>> first.followed_by(DatasetReport("d", "d", "unchanged", "nothing new")).status
            'replayed'
        """
        return replace(
            later,
            status=self.status if later.status == "unchanged" else later.status,
            reason=later.reason if later.status == "failed" else f"{self.reason}; {later.reason}",
            units=self.units + later.units,
            reused=self.reused + later.reused,
            counts=self.counts + later.counts,
            bytes=self.bytes + later.bytes,
            seconds=self.seconds + later.seconds,
            extract_seconds=self.extract_seconds + later.extract_seconds,
            load_seconds=self.load_seconds + later.load_seconds,
            schema_changes=(*self.schema_changes, *later.schema_changes),
            rules=(*self.rules, *later.rules),
            quarantine=later.quarantine or self.quarantine,
            repairs=(*self.repairs, *later.repairs),
        )


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The outcome of one check of a transformation."""

    check: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TransformationReport:
    """What a run did with one transformation."""

    name: str
    table: str
    kind: str
    status: TransformationStatus
    reason: str = ""
    hint: str = ""
    rows: int | None = None
    version: int = 0
    seconds: float = 0.0
    reads: tuple[str, ...] = ()
    checks: tuple[CheckReport, ...] = ()


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did, whole.

    Attributes:
        run_id: Sorts by time of start.
        pipeline: The pipeline's name.
        destination: Its URI, without secrets.
        status: ``running`` until it is over.
        started: When, in UTC.
        seconds: Wall time so far.
        error: What failed the run as a whole, beside its parts.
        links: Name to address: the Prefect UI, the HTML report.
    """

    run_id: str
    pipeline: str
    destination: str
    status: RunStatus
    started: datetime
    seconds: float = 0.0
    datasets: tuple[DatasetReport, ...] = ()
    transformations: tuple[TransformationReport, ...] = ()
    error: str = ""
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> Accounting:
        """Where every row of the run went."""
        return total([dataset.counts for dataset in self.datasets])

    @property
    def failures(self) -> tuple[str, ...]:
        """Names of what failed."""
        return tuple(d.dataset for d in self.datasets if d.status == "failed") + tuple(
            t.name for t in self.transformations if t.status == "failed"
        )

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return (
            self.status == "completed"
            and all(dataset.status == "unchanged" for dataset in self.datasets)
            and all(part.status == "unchanged" for part in self.transformations)
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"started": self.started.isoformat(), "counts": asdict(self.counts)}

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> RunReport:
        """From JSON text."""
        data = json.loads(text)
        data.pop("counts")
        data["started"] = datetime.fromisoformat(data["started"])
        data["datasets"] = tuple(_dataset_report(part) for part in data["datasets"])
        data["transformations"] = tuple(
            TransformationReport(
                **part
                | {
                    "reads": tuple(part["reads"]),
                    "checks": tuple(CheckReport(**check) for check in part["checks"]),
                }
            )
            for part in data["transformations"]
        )
        return cls(**data)


def _dataset_report(part: dict[str, Any]) -> DatasetReport:
    return DatasetReport(
        **part
        | {
            "counts": Accounting(**part["counts"]),
            "schema_changes": tuple(part["schema_changes"]),
            "rules": tuple(RuleCount(**rule) for rule in part["rules"]),
            "repairs": tuple(Repair(**repair) for repair in part.get("repairs", ())),
        }
    )
