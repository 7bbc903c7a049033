"""A frame that is in storage, and how another process gets it from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect_etl.core.frames import bytes_of_frame, frame_kind, frame_summary, rows_of
from prefect_etl.errors import StorageError

_MARK = "prefect_etl.frame"
_FOLDER = "prefect-etl-frames"


@dataclass(frozen=True, slots=True)
class FrameReference:
    """Where a frame is, in the storage of Prefect's results, and what it is.

    Attributes:
        key: Its name there.
        storage: The id of the storage's block; None for the local default storage.
        rows: How many it has.
        bytes: How many its rows take in memory, about.
        summary: Library, columns and types in one line.
    """

    key: str
    storage: str | None
    rows: int | None
    bytes: int | None
    summary: str

    def as_parameter(self) -> dict[str, Any]:
        """As a parameter of a deployment's flow run."""
        return {"kind": _MARK, **asdict(self)}

    @classmethod
    def of_parameter(cls, value: object) -> FrameReference | None:
        """The reference that a parameter is, if it is one."""
        if not isinstance(value, Mapping) or value.get("kind") != _MARK:
            return None
        return cls(**{name: value.get(name) for name in cls.__slots__})  # type: ignore[arg-type]

    def read(self) -> Any:
        """The frame: same library, types and index as it was written with.

        Raises:
            StorageError: It is not there, or damaged.
        """
        from prefect_etl.orchestration.caching.serializer import ExactSerializer

        try:
            content = _storage(self.storage).read_path(_checked(self.key), _sync=True)
        except (OSError, ValueError) as error:
            raise StorageError(
                f"the data {self.summary} is not in this machine's result storage: {error}",
                hint="Give both flows a result_storage that all machines reach, such as a bucket.",
            ) from error
        return ExactSerializer().loads(content)


def write_frame(frame: Any, name: str) -> FrameReference:
    """Write a frame to the result storage of the run around, or to the default one.

    Args:
        frame: Of any library; a lazy one is computed.
        name: Unique to this frame.

    Raises:
        StorageError: It cannot be written.
    """
    from prefect.results import get_default_result_storage, get_result_store

    from prefect_etl.orchestration.caching.serializer import ExactSerializer

    store = get_result_store()
    # Prefect's own flag of functions that are sync or async as their caller is.
    storage: Any = store.result_storage or get_default_result_storage(_sync=True)  # type: ignore[call-arg]
    block = store.result_storage_block_id if store.result_storage else None
    key = f"{_FOLDER}/{name}"
    content = ExactSerializer().dumps(frame)
    try:
        storage.write_path(key, content, _sync=True)
    except OSError as error:
        raise StorageError(f"{frame_summary(frame)} cannot be written: {error}") from error
    known = frame_kind(frame) is not None
    return FrameReference(
        key,
        str(block) if block else None,
        rows_of(frame) if known else None,
        bytes_of_frame(frame) if known else len(content),
        frame_summary(frame) if known else f"<{type(frame).__name__}>",
    )


def remove_frame(reference: FrameReference) -> None:
    """Remove what was written; Prefect's remote storages know no removal, and keep it."""
    from prefect.filesystems import LocalFileSystem

    storage = _storage(reference.storage)
    if isinstance(storage, LocalFileSystem) and storage.basepath:
        (Path(storage.basepath).expanduser() / _checked(reference.key)).unlink(missing_ok=True)


def with_frames(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters, with frames in the place of references to them; also in lists and dicts."""
    return {name: _with_frames(value) for name, value in parameters.items()}


def _with_frames(value: Any) -> Any:
    if type(value) is list:
        if not any(type(part) in (list, dict) for part in value):
            return value
        parts = [_with_frames(part) for part in value]
        return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
    if type(value) is not dict:
        return value
    reference = FrameReference.of_parameter(value)
    if reference is not None:
        return reference.read()
    pairs = {key: _with_frames(part) for key, part in value.items()}
    return pairs if any(pairs[key] is not value[key] for key in pairs) else value


def _checked(key: str) -> str:
    # Parameters come from whoever may start runs: nothing else is read, whatever they say.
    folder, _, name = key.partition("/")
    if folder != _FOLDER or not name or "/" in name or name.startswith("."):
        raise StorageError(f"{key!r} is no place of a frame")
    return key


def _storage(block: str | None) -> Any:
    from prefect.filesystems import LocalFileSystem
    from prefect.results import resolve_result_storage
    from prefect.settings import get_current_settings

    if block is not None:
        return resolve_result_storage(UUID(block), _sync=True)  # type: ignore[call-arg]
    return LocalFileSystem(basepath=str(get_current_settings().results.local_storage_path))
