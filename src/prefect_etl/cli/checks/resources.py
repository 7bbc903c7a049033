"""The check of what killed processes left open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prefect_etl.cli.checks.finding import Check, Status, failed
from prefect_etl.errors import EtlError
from prefect_etl.utils.resources import ResourceManager
from prefect_etl.utils.resources.reaping import Reaping, reap_all

_NAME = "resources"
_MEND = {
    "failed": "Mend that and ask again; or close it by hand and remove {path}",
    "damaged": "Find out what it was of, then remove {path}",
    "elsewhere": "Run prefect-etl doctor there; if that machine is gone, remove {path}",
}


def check_resources() -> Iterable[Check]:
    """Reap what killed processes left open, and say what could not be."""
    try:
        found = list(reap_all(owner=ResourceManager))
    except EtlError as error:
        yield failed(_NAME, error)
        return
    count = Counter(reaping.state for reaping in found)
    told = f"{count['held']} in use" if count["held"] else "none is open"
    if count["reaped"]:
        names = ", ".join(sorted({r.name for r in found if r.state == "reaped"}))
        told += f"; {count['reaped']} left by killed processes, cleaned up: {names}"
    yield Check(_NAME, "ok", told)
    yield from (_fault(reaping) for reaping in found if reaping.state in _MEND)


def _fault(reaping: Reaping) -> Check:
    from prefect_etl.config.secrets import redact

    what = {
        "failed": f"{reaping.name}, left open by process {reaping.pid}: {redact(reaping.reason)}",
        "damaged": f"a lease that cannot be read: {reaping.path.name}",
        "elsewhere": f"{reaping.name}, left open on {reaping.host}",
    }[reaping.state]
    status: Status = "warn" if reaping.state == "elsewhere" else "fail"
    return Check(_NAME, status, what, _MEND[reaping.state].format(path=reaping.path))
