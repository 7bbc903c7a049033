"""What becomes of a task's result: written before the task completes, seen when it commits."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import prefect
import pytest
from prefect.client.schemas.objects import State
from prefect.filesystems import WritableFileSystem
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.states import Failed
from prefect.transactions import transaction

from prefect_etl import flow, task
from prefect_etl.errors import StorageError
from prefect_etl.orchestration.caching.container import MAGIC
from prefect_etl.orchestration.caching.entries import Entry, list_entries
from prefect_etl.orchestration.caching.exact import NoExactFormError
from prefect_etl.orchestration.caching.frame_inputs import FrameInputs

pytestmark = pytest.mark.usefixtures("storage")
RAN: list[Any] = []
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", None]})


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


@dataclass
class Split:
    good: pd.DataFrame
    bad: pl.DataFrame


@task(cache_policy=FrameInputs())
def compute(value: Any = None) -> Any:
    RAN.append(value)
    return FRAME if value is None else value


def files(storage: Path) -> list[str]:
    # Prefect's own files, of exceptions for one, are beside the folder.
    return sorted(path.name for path in storage.glob("prefect-etl/**/*") if path.is_file())


def test_a_result_is_one_file_without_pickle_or_base64(storage: Path) -> None:
    compute()
    (entry,) = list_entries(storage)
    content = entry.path.read_bytes()
    assert content.startswith(MAGIC)
    assert b"cloudpickle" not in content
    assert (entry.task, entry.kind, entry.bytes) == ("compute", "pandas.DataFrame", len(content))
    assert files(storage) == [entry.path.name]


def test_a_hit_gives_a_frame_of_its_own() -> None:
    compute()
    hit = compute()
    hit.loc[0, "a"] = 99
    pd.testing.assert_frame_equal(compute(), FRAME)
    assert RAN == [None]


def test_a_container_of_frames_is_a_result() -> None:
    @task(cache_policy=FrameInputs())
    def split() -> Any:
        RAN.append("split")
        return Split(FRAME, pl.DataFrame({"a": [3]}))

    for _ in range(2):
        found = split()
        pd.testing.assert_frame_equal(found.good, FRAME)
        assert found.bad.equals(pl.DataFrame({"a": [3]}))
    assert RAN == ["split"]


@pytest.mark.anyio
async def test_async_tasks_keep_their_results() -> None:
    @task(cache_policy=FrameInputs())
    async def acompute(number: int) -> pl.DataFrame:
        RAN.append(number)
        return pl.DataFrame({"a": [number]})

    @prefect.flow
    async def run() -> list[Any]:
        return [await acompute(1), await acompute(1), await acompute.submit(1)]

    assert all(frame.equals(pl.DataFrame({"a": [1]})) for frame in await run())
    assert RAN == [1]


@pytest.mark.parametrize("retries", [0, 2])
def test_what_has_no_exact_form_fails_the_task(retries: int, storage: Path) -> None:
    state = compute.with_options(retries=retries)({"k": [object(), 1]}, return_state=True)
    assert state.is_completed()  # it has no key either
    changed = compute.with_options(cache_key_fn=lambda context, *args: "k", retries=retries)
    state = changed({"k": [object(), 1]}, return_state=True)
    assert state.is_failed()
    with pytest.raises(NoExactFormError, match=r"`result\['k'\]\[0\]` is a builtins.object"):
        state.result()
    assert len(RAN) == 2
    assert files(storage) == []


def test_pickle_is_the_users_choice(storage: Path) -> None:
    pickled = compute.with_options(
        cache_key_fn=lambda context, *args: "k", result_serializer="pickle"
    )
    assert pickled({1j, frozenset({2})}) == pickled({1j, frozenset({2})})
    assert len(RAN) == 1
    assert compute.with_options(cache_key_fn=lambda context, *args: "k")(5) == 5
    assert len(RAN) == 2, "a task that did not choose pickle reads none"


def test_a_storage_that_cannot_be_written_fails_the_task(storage: Path) -> None:
    storage.mkdir()
    (storage / "prefect-etl").write_text("a file where the folder should be")
    state = compute(return_state=True)
    assert state.is_failed()
    with pytest.raises(StorageError, match="the result cannot be written to"):
        state.result()
    assert RAN == [None]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 128 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=131072,mode=777", "tmpfs", str(folder)]
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*as_root, *mount]
    if not shutil.which(command[0]) or subprocess.run(command, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run([*as_root, "umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_fails_the_task_and_leaves_nothing(full_disk: Path) -> None:
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: full_disk}):
        small = compute("x", return_state=True)
        large = compute(os.urandom(300_000), return_state=True)
    assert small.is_completed()
    assert large.is_failed()
    with pytest.raises(StorageError, match="No space left on device"):
        large.result()
    assert [entry.kind for entry in list_entries(full_disk)] == ["str"]
    assert len(files(full_disk)) == 1


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(MAGIC) + 60] ^= 1
    path.write_bytes(content)


def forge(path: Path) -> None:
    path.write_bytes(b'{"metadata": {"serializer": {"type": "pickle"}}, "result": "gAQu"}')


@pytest.mark.parametrize("damage", [cut, flip, forge, lambda path: path.write_bytes(b"")])
def test_a_damaged_result_is_no_result(
    damage: Callable[[Path], None], storage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compute()
    (entry,) = list_entries(storage)
    damage(entry.path)
    pd.testing.assert_frame_equal(compute(), FRAME)
    assert RAN == [None, None]
    assert "The kept result of task 'compute' is not used" in caplog.text
    pd.testing.assert_frame_equal(compute(), FRAME)
    assert len(RAN) == 2


def test_the_file_of_another_key_is_no_result(storage: Path) -> None:
    compute(1)
    (one,) = list_entries(storage)
    compute(2)
    (two,) = (entry for entry in list_entries(storage) if entry.path != one.path)
    shutil.copy(one.path, two.path)
    assert compute(2) == 2
    assert RAN == [1, 2, 2]


def test_an_expired_result_is_computed_again(storage: Path) -> None:
    past = compute.with_options(cache_expiration=timedelta(seconds=-1))
    past(1)
    past(1)
    assert RAN == [1, 1]
    assert [entry.expired for entry in list_entries(storage)] == [True]
    hour = compute.with_options(cache_expiration=timedelta(hours=1))
    hour(1)
    hour(1)
    assert RAN == [1, 1, 1]


def test_refresh_cache_computes_again_and_replaces_the_result() -> None:
    numbers = iter([1, 2])

    @task(cache_key_fn=lambda context, *args: "k")
    def count() -> int:
        return next(numbers)

    assert count() == 1
    assert count.with_options(refresh_cache=True)() == 2
    assert count() == 2


def test_a_failed_task_leaves_no_result_and_its_lock(storage: Path) -> None:
    @task(cache_key_fn=lambda context, *args: "k")
    def sometimes() -> int:
        RAN.append(1)
        if len(RAN) == 1:
            raise ValueError("not yet")
        return 7

    assert sometimes(return_state=True).is_failed()
    assert sometimes() == 7
    assert len(list_entries(storage)) == 1
    assert not [name for name in files(storage) if name.endswith((".lock", ".tmp"))]


def test_a_state_that_says_failed_is_never_a_result(storage: Path) -> None:
    @task(cache_key_fn=lambda context, *args: "k")
    def fail(data: Any) -> State:
        RAN.append(data)
        return Failed(message="no", data=data)

    for data in (None, ValueError("no"), None):
        assert fail(data, return_state=True).is_failed()
    assert len(RAN) == 3
    assert list_entries(storage) == []


def test_a_result_of_a_transaction_is_seen_when_that_commits(storage: Path) -> None:
    @flow
    def work(*, fail: bool) -> None:
        with transaction():
            compute(1)
            assert list_entries(storage) == []
            compute(1)
            if fail:
                raise ValueError("undo")

    assert work(fail=True, return_state=True).is_failed()
    assert files(storage) == []
    work(fail=False)
    assert [entry.kind for entry in list_entries(storage)] == ["int"]
    assert not [name for name in files(storage) if name.endswith((".lock", ".tmp"))]


def test_a_task_in_a_task_with_the_same_key_does_not_wait_for_it() -> None:
    inner = task(lambda: 5, name="inner", cache_key_fn=lambda context, *args: "k")

    @task(cache_key_fn=lambda context, *args: "k")
    def outer() -> int:
        return inner() + inner.submit().result() if RAN else inner() + 1

    @flow
    def run() -> int:
        return outer()

    assert run() == 6


def test_flows_and_plain_tasks_inside_a_kept_task_are_prefects(storage: Path) -> None:
    @prefect.task
    def plain(value: int) -> int:
        return value

    @prefect.flow(persist_result=False)
    def child() -> int:
        return plain(2)

    @task(cache_key_fn=lambda context, *args: "k")
    def outer() -> int:
        RAN.append("outer")
        return child() + plain.with_options(persist_result=True)(3)

    assert [outer(), outer()] == [5, 5]
    assert RAN == ["outer"]
    assert len(list_entries(storage)) == 1


class Box(WritableFileSystem):
    """A storage that is no folder."""

    _block_type_name = "Box"
    contents: dict[str, bytes] = {}  # noqa: RUF012 - pydantic copies it

    async def read_path(self, path: str) -> bytes:
        return self.contents[path]

    async def write_path(self, path: str, content: bytes) -> None:
        if self.contents.get("full"):
            raise OSError("the box is full")
        self.contents[path] = content


def test_any_storage_of_prefect_keeps_results() -> None:
    box = Box()
    box.save("box", overwrite=True)
    kept = compute.with_options(result_storage=box)
    pd.testing.assert_frame_equal(kept(), FRAME)
    pd.testing.assert_frame_equal(kept(), FRAME)
    assert RAN == [None]
    (name,) = box.contents
    assert name.startswith("prefect-etl/")
    box.contents["full"] = b"yes"
    state = kept(7, return_state=True)
    assert state.is_failed()
    with pytest.raises(StorageError, match="the box is full"):
        state.result()


def test_a_key_storage_of_the_user_is_asked_first(storage: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    kept = compute.with_options(cache_policy=FrameInputs().configure(key_storage=keys))
    kept(1)
    kept(1)
    assert RAN == [1]
    (key,) = keys.iterdir()
    key.unlink()
    kept(1)
    assert RAN == [1, 1]


STATE_READER = """
    import sys
    from uuid import UUID
    import prefect_etl.orchestration.caching.serializer
    from prefect.results import ResultRecordMetadata, ResultStore
    import asyncio

    metadata = ResultRecordMetadata.load_bytes(sys.argv[1].encode() if sys.argv[1:] else
                                               open("metadata.json", "rb").read())
    print(asyncio.run(ResultStore._from_metadata(metadata)).result.shape)
"""


def test_another_process_reads_the_result_of_a_state(
    tmp_path: Path, run_program: Callable[..., str]
) -> None:
    state = compute(return_state=True)
    (tmp_path / "metadata.json").write_bytes(state.data.serialize_metadata())
    assert run_program(STATE_READER).strip() == "(2, 2)"


def test_a_key_is_only_of_what_is_kept(storage: Path) -> None:
    compute.with_options(persist_result=False)()
    assert list_entries(storage) == []


def test_entries_tell_what_they_are(storage: Path) -> None:
    compute.with_options(name="other", cache_expiration=timedelta(hours=1))(1)
    (entry,) = list_entries(storage)
    assert isinstance(entry, Entry)
    assert (entry.task, entry.kind, entry.expired, entry.damaged) == ("other", "int", False, False)
    assert entry.created is not None
    assert entry.expires is not None
    assert timedelta(minutes=59) < entry.expires - entry.created <= timedelta(hours=1, seconds=9)
