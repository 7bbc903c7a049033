"""The outcome of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prefect_etl.errors import EtlError

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was found, and how to mend it.

    Attributes:
        name: What was checked.
        status: ``fail`` where a run cannot work.
        detail: What was found, in words.
        mend: What to do, where there is something to do.
    """

    name: str
    status: Status
    detail: str
    mend: str = ""


def failed(name: str, error: EtlError) -> Check:
    """A check that ended in one of our errors; its hint says how to mend it."""
    from prefect_etl.config.secrets import redact

    return Check(name, "fail", redact(error.message), redact(error.hint or ""))
