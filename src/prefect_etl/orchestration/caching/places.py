"""Where results are kept: a folder of this machine, or any other storage block of Prefect."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from prefect.filesystems import LocalFileSystem, WritableFileSystem
from prefect.settings.context import get_current_settings

from prefect_etl.errors import StorageError
from prefect_etl.orchestration.caching.container import Content, FileContent, MemoryContent
from prefect_etl.orchestration.caching.entries import FOLDER, LOCKS, Draft, file_name

Write = Callable[[BinaryIO], None]


class Written(Protocol):
    """A result that was written and is not seen yet."""

    def publish(self) -> None:
        """Make it the result of its key."""
        ...

    def discard(self) -> None:
        """Forget it."""
        ...


class Place(Protocol):
    """Where the result of one key is."""

    name: str
    lock: Path

    def open(self) -> AbstractContextManager[Content | None]:
        """The file, to be read; None if there is none."""
        ...

    def write(self, write: Write, *, last: bool) -> Written:
        """Write the file, to be published later.

        Args:
            write: Writes it.
            last: Nothing but our own code can fail between this and `Written.publish`.

        Raises:
            StorageError: The storage refused.
        """
        ...


def place_of(key: str, storage: WritableFileSystem) -> Place:
    """Where the result of a key is in a storage."""
    if type(storage) is LocalFileSystem:
        base = Path(storage.basepath or "").expanduser().resolve()
        return _LocalPlace(base / FOLDER / file_name(key), saved=_is_saved(storage))
    return _RemotePlace(f"{FOLDER}/{file_name(key)}", storage)


def _is_saved(storage: Any) -> bool:
    return getattr(storage, "_block_document_id", None) is not None


class _LocalPlace:
    def __init__(self, path: Path, *, saved: bool) -> None:
        self._path = path
        # As Prefect's own results are named in a state: whole, unless a block says the rest.
        self.name = f"{FOLDER}/{path.name}" if saved else str(path)
        self.lock = path.parent / LOCKS / f"{path.stem}.lock"

    @contextmanager
    def open(self) -> Iterator[Content | None]:
        with ExitStack() as opened:
            try:
                file = opened.enter_context(self._path.open("rb", buffering=0))
            except FileNotFoundError:
                yield None
            else:
                yield FileContent(file)

    def write(self, write: Write, *, last: bool) -> Written:  # noqa: ARG002 - a rename is safe
        draft: Draft | None = None
        try:
            draft = Draft(self._path)
            write(draft.file)
            draft.file.flush()
        except OSError as error:
            if draft is not None:
                draft.discard()
            raise _refused(str(self._path.parent), error) from error
        except BaseException:  # also Ctrl-C: nobody else would remove it soon
            if draft is not None:
                draft.discard()
            raise
        return draft


class _RemotePlace:
    def __init__(self, name: str, storage: WritableFileSystem) -> None:
        self.name = name
        self._storage = storage
        home = get_current_settings().home
        self.lock = home / f"{FOLDER}-{LOCKS}" / f"{Path(name).stem}.lock"

    @contextmanager
    def open(self) -> Iterator[Content | None]:
        try:
            content = finished(self._storage.read_path(self.name))
        except Exception:  # noqa: BLE001 - every block has its own error for "not there"
            content = None
        yield None if content is None else MemoryContent(content)

    def write(self, write: Write, *, last: bool) -> Written:
        file = io.BytesIO()
        write(file)
        upload = _Upload(self, file.getvalue())
        if last:
            upload.publish()
        return upload

    def put(self, content: bytes) -> None:
        try:
            finished(self._storage.write_path(self.name, content=content))
        except Exception as error:
            # Every block has its own errors; whichever it is, the result is not kept.
            raise _refused(f"{type(self._storage).__name__} {self.name}", error) from error


class _Upload:
    """What goes to a storage in one step: there is no renaming in most of them."""

    def __init__(self, place: _RemotePlace, content: bytes) -> None:
        self._place = place
        self._content: bytes | None = content

    def publish(self) -> None:
        if self._content is not None:
            content, self._content = self._content, None
            self._place.put(content)

    def discard(self) -> None:
        self._content = None


def finished(answer: Any) -> Any:
    """What a block's method gives, whether it is sync, async or both."""
    if not inspect.isawaitable(answer):
        return answer
    from prefect.utilities.asyncutils import run_coro_as_sync

    async def wait() -> Any:
        return await answer

    return run_coro_as_sync(wait())


def _refused(where: str, error: Exception) -> StorageError:
    reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return StorageError(
        f"the result cannot be written to {where}: {reason}",
        hint="Free space, or mend the permissions, of the result storage; then run again.",
    )
