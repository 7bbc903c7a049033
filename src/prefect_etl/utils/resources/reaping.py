"""Cleans up after killed processes: finds the class that a lease names, and calls its ``reap``."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from prefect_etl.errors import ConfigError
from prefect_etl.utils.resources.finding import FoundLease, find_leases
from prefect_etl.utils.resources.leases import LeaseRecord, lease_folder

logger = logging.getLogger(__name__)
_PREFECTS_OWN = "__prefect_loader"


@dataclass(frozen=True, slots=True)
class Reaping:
    """What became of a lease.

    Attributes:
        name: The class of the resource.
        path: The lease's file.
        state: ``held`` by a living process, ``reaped``, left ``elsewhere`` on another machine,
            ``damaged``, or ``failed``.
        reason: Why it failed.
        pid: The process that made it.
        host: The machine of that process.
    """

    name: str
    path: Path
    state: Literal["held", "reaped", "elsewhere", "damaged", "failed"]
    reason: str = ""
    pid: int = 0
    host: str = ""


def class_path(kind: type) -> tuple[str, str, str]:
    """Module, name and file of a class, by which another process finds it.

    Raises:
        ConfigError: It is made within a function, where nobody finds it again.
    """
    if "<locals>" in kind.__qualname__:
        raise ConfigError(
            f"{kind.__qualname__} has a handle, and is made within a function: after a kill "
            "nobody could find its reap",
            hint="Define the class at the top of a module.",
        )
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return kind.__module__, kind.__qualname__, _resolved(file)


def reap_left_by(kind: type, reap: Callable[[Any], Any]) -> None:
    """Reap what killed processes left open of one class; a failure is logged, its lease kept.

    Args:
        kind: The class.
        reap: Its ``reap``, sync or async.
    """
    _, name, file = class_path(kind)
    for found in find_leases(lease_folder(), own=False):
        record = found.record
        if found.state == "dead" and record and (record.name, record.file) == (name, file):
            failed = _reap(found, record, reap)
            if failed is not None:
                logger.warning("%s, left open: reap failed", name, exc_info=failed)


def reap_all(*, owner: type) -> Iterator[Reaping]:
    """Reap all that killed processes left open; imports the classes that leases name.

    Args:
        owner: Only subclasses of this one are called.
    """
    for found in find_leases(lease_folder()):
        record = found.record
        if record is None:
            yield Reaping("a resource", found.path, "damaged")
        elif found.state == "dead":
            yield _found_and_reaped(found, record, owner)
        else:
            state: Any = found.state
            yield Reaping(record.name, found.path, state, "", record.pid, record.host)


def _found_and_reaped(found: FoundLease, record: LeaseRecord, owner: type) -> Reaping:
    told = (record.name, found.path)
    try:
        kind = _find_class(record, owner)
    except Exception as error:  # noqa: BLE001 - importing a module may raise whatever its code does
        reason = f"its class cannot be found: {_said(error)}"
        return Reaping(*told, "failed", reason, record.pid, record.host)
    failed = _reap(found, record, kind.reap)
    if failed is None:
        return Reaping(*told, "reaped", "", record.pid, record.host)
    return Reaping(*told, "failed", _said(failed), record.pid, record.host)


def _reap(found: FoundLease, record: LeaseRecord, reap: Callable[[Any], Any]) -> Exception | None:
    try:
        waited_for(lambda: reap(dict(record.handle)))
    except Exception as error:  # noqa: BLE001 - a user's code; the lease is kept, nothing forgotten
        return error
    found.path.unlink(missing_ok=True)
    logger.info("%s, left open by process %d, was cleaned up", record.name, record.pid)
    return None


def waited_for(call: Callable[[], Any]) -> Any:
    """The result of a call, or of what it gives to await; also inside a running event loop.

    Example:
        >>> async def answer() -> int:
        ...     return 42
        >>> waited_for(answer), waited_for(lambda: 43)
        (42, 43)
    """
    result = call()
    if not inspect.isawaitable(result):
        return result
    outcome: list[Any] = []

    async def wait() -> Any:
        return await result

    def work() -> None:
        try:
            outcome.extend((asyncio.run(wait()), None))
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            outcome.extend((None, error))

    thread = threading.Thread(target=work, name="prefect_etl-wait")
    thread.start()
    thread.join()
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def _find_class(record: LeaseRecord, owner: type) -> Any:
    module = _loaded(record.file) or _imported(record)
    found: Any = module
    for part in record.name.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, owner)):
        raise ConfigError(f"{record.file or record.module} has no resource {record.name}")
    return found


def _loaded(file: str) -> ModuleType | None:
    if not file:
        return None
    modules = [m for m in list(sys.modules.values()) if getattr(m, "__file__", None)]
    return next((m for m in modules if _resolved(m.__file__) == file), None)


def _imported(record: LeaseRecord) -> ModuleType:
    script = record.module == "__main__" or record.module.startswith(_PREFECTS_OWN)
    if script or not record.file:
        return _run_script(record) if script else importlib.import_module(record.module)
    parts = record.module.split(".")
    file = Path(record.file)
    depth = len(parts) if file.stem == "__init__" else len(parts) - 1
    with _importable(file.parents[depth]):
        module = importlib.import_module(record.module)
    if _resolved(module.__file__) != record.file:
        raise ConfigError(f"{record.module} is another file here than {record.file}")
    return module


def _run_script(record: LeaseRecord) -> ModuleType:
    path = Path(record.file)
    if record.module == "__main__" and not is_guarded(path.read_text(encoding="utf-8")):
        raise ConfigError(
            f"{path} is a script that works when it is imported",
            hint=f"Run it again, it reaps by itself; or guard its work: {_GUARD}:",
        )
    name = f"_prefect_etl_{abs(hash(record.file))}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _importable(path.parent):
            spec.loader.exec_module(module)
    except BaseException:  # half a module must not be found by the next lease
        del sys.modules[name]
        raise
    return module


_GUARD = 'if __name__ == "__main__"'


def is_guarded(source: str) -> bool:
    r"""Whether a script says which of its work is done only when it is run.

    Example:
        >>> is_guarded('if __name__ == "__main__":\n    main()'), is_guarded("main()")
        (True, False)
    """
    guard = ast.dump(ast.parse(f"{_GUARD}: ...").body[0].test)  # type: ignore[attr-defined]
    nodes = ast.parse(source).body
    return any(isinstance(node, ast.If) and ast.dump(node.test) == guard for node in nodes)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    # Last: nothing of the standard library or of this program's can be replaced by it.
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _resolved(file: str | None) -> str:
    return str(Path(file).resolve()) if file else ""


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
