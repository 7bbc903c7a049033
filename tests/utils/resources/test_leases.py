from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_etl.cli.main import main
from prefect_etl.errors import ConfigError, StorageError
from prefect_etl.utils.resources import ResourceManager
from prefect_etl.utils.resources.leases import Lease, boot_id, new_record

Run = Callable[..., subprocess.CompletedProcess[str]]
SIGKILLED = -9


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def doctor(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    capsys.readouterr()
    main(["doctor", "--json"])
    return [c for c in json.loads(capsys.readouterr().out) if c["name"] == "resources"]


def killed_with(run: Run, kind: str, name: str = "left") -> None:
    died = run(f"with {kind}({name!r}): kill()")
    assert died.returncode == SIGKILLED, died.stderr


@pytest.mark.parametrize("kind", ["Scratch", "AsyncScratch", "Assigned"])
def test_the_next_start_reaps_what_a_killed_process_left(
    run: Run, kind: str, tmp_path: Path, leases: Path
) -> None:
    killed_with(run, kind)
    assert (tmp_path / "left").exists()
    assert len(list(leases.iterdir())) == 1
    again = run(f"with {kind}('other') as path: assert not os.path.exists('left')")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "reaped.txt").read_text().split() == [str(tmp_path / "left")]
    assert list(leases.iterdir()) == []


@pytest.mark.parametrize("kind", ["Scratch", "AsyncScratch"])
def test_doctor_reaps_what_a_killed_process_left(
    run: Run, kind: str, tmp_path: Path, leases: Path, capsys: Any
) -> None:
    killed_with(run, kind)
    told = f"none is open; 1 left by killed processes, cleaned up: {kind}"
    assert doctor(capsys)[0]["detail"] == told
    assert not (tmp_path / "left").exists()
    assert list(leases.iterdir()) == []
    assert doctor(capsys)[0]["detail"] == "none is open"


SETUP_IS_KILLED = """
    class Killed(Scratch):
        def setup(self):
            super().setup()
            kill()
    Killed.__module__, Killed.__qualname__ = "scratches", "Scratch"
    with Killed("left"): pass
"""


def test_a_kill_within_setup_is_reaped_where_the_handle_was_known(run: Run, tmp_path: Path) -> None:
    assert run(SETUP_IS_KILLED).returncode == SIGKILLED
    assert run("with Scratch('other'): pass").returncode == 0
    assert not (tmp_path / "left").exists()


def test_a_lease_is_durable_before_setup_and_gone_after_cleanup(run: Run, leases: Path) -> None:
    done = run(
        """
        class Looks(Scratch):
            def setup(self):
                print(len(os.listdir(os.environ["PREFECT_ETL_HOME"] + "/leases")))
                return super().setup()
        with Looks("s"): pass
        """
    )
    assert done.stdout == "1\n", done.stderr
    assert list(leases.iterdir()) == []


def test_what_a_living_process_holds_is_left_alone(
    tmp_path: Path, environment: dict[str, str], run: Run, capsys: Any
) -> None:
    hold = "from scratches import *\nwith Scratch('held'): print(flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    assert holder.stdout.readline()
    assert run("with Scratch('other'): pass").returncode == 0
    assert doctor(capsys)[0]["detail"] == "1 in use"
    assert (tmp_path / "held").exists()
    holder.communicate()
    assert not (tmp_path / "held").exists()


def test_a_failed_reap_keeps_the_lease_and_the_start_goes_on(
    run: Run, leases: Path, capsys: Any
) -> None:
    killed_with(run, "Stubborn")
    again = run("with Stubborn('other'): print('worked')")
    assert again.stdout == "worked\n", again.stderr
    assert "it will not go" in again.stderr
    assert len(list(leases.iterdir())) == 1
    checks = doctor(capsys)
    assert [check["status"] for check in checks] == ["ok", "fail"]
    assert "it will not go" in checks[1]["detail"]
    assert len(list(leases.iterdir())) == 1


def test_what_could_not_be_cleaned_up_is_reaped_next_time(run: Run, tmp_path: Path) -> None:
    failed = run("with Uncleanable('left'): pass")
    assert "no cleanup" in failed.stderr
    assert (tmp_path / "left").exists()
    run("with Uncleanable('left2'): assert not os.path.exists('left')")
    assert not (tmp_path / "left").exists()


def record_of(leases: Path) -> tuple[Path, dict[str, Any]]:
    (path,) = leases.iterdir()
    return path, json.loads(path.read_text())


def test_a_reused_process_id_is_not_taken_for_a_living_holder(
    run: Run, leases: Path, tmp_path: Path
) -> None:
    killed_with(run, "Scratch")
    path, record = record_of(leases)
    path.write_text(json.dumps(record | {"pid": os.getpid()}))
    run("with Scratch('other'): pass")
    assert not (tmp_path / "left").exists()


def test_a_lease_of_another_machine_is_left_to_it(
    run: Run, leases: Path, tmp_path: Path, capsys: Any
) -> None:
    killed_with(run, "Scratch")
    path, record = record_of(leases)
    assert (record["host"], record["boot"]) == (socket.gethostname(), boot_id())
    path.write_text(json.dumps(record | {"host": "elsewhere.example", "boot": "another"}))
    run("with Scratch('other'): pass")
    checks = doctor(capsys)
    assert (tmp_path / "left").exists()
    assert [check["status"] for check in checks] == ["ok", "warn"]
    assert "elsewhere.example" in checks[1]["detail"]


def test_a_new_container_on_the_same_kernel_reaps(run: Run, leases: Path, tmp_path: Path) -> None:
    if not boot_id():
        pytest.skip("this kernel has no id")
    killed_with(run, "Scratch")
    path, record = record_of(leases)
    path.write_text(json.dumps(record | {"host": "a-container-that-is-gone"}))
    run("with Scratch('other'): pass")
    assert not (tmp_path / "left").exists()


def test_a_damaged_lease_is_shown_and_stops_nobody(run: Run, leases: Path, capsys: Any) -> None:
    killed_with(run, "Scratch")
    path, _ = record_of(leases)
    path.write_text('{"module": "scra')
    assert run("with Scratch('other'): print('worked')").stdout == "worked\n"
    assert "cannot be read" in doctor(capsys)[1]["detail"]


def test_leases_are_for_their_owner_only(run: Run, leases: Path) -> None:
    killed_with(run, "Scratch")
    path, _ = record_of(leases)
    assert leases.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_strangers_may_write_to_is_refused(
    run: Run, leases: Path, capsys: Any
) -> None:
    killed_with(run, "Scratch")
    leases.chmod(0o777)
    refused = run("with Scratch('other'): pass")
    assert "can be written by other users" in refused.stderr
    (check,) = doctor(capsys)
    assert check["status"] == "fail"
    assert "chmod 700" in check["mend"]


def test_a_lease_that_strangers_may_write_to_is_ignored(
    run: Run, leases: Path, tmp_path: Path
) -> None:
    killed_with(run, "Scratch")
    record_of(leases)[0].chmod(0o666)
    assert run("with Scratch('other'): pass").returncode == 0
    assert (tmp_path / "left").exists()


def test_only_resources_are_called(run: Run, leases: Path, capsys: Any) -> None:
    killed_with(run, "Scratch")
    path, record = record_of(leases)
    path.write_text(json.dumps(record | {"name": "kill"}))
    assert "has no resource kill" in doctor(capsys)[1]["detail"]


SCRIPT = """
    from scratches import *

    class Mine(Scratch):
        pass

    def main():
        with open("started.txt", "a") as told:
            print("started", file=told)
        with Mine(sys.argv[1]):
            sys.argv[1] == "left" and kill()

"""


@pytest.mark.parametrize("guard", ['if __name__ == "__main__":\n    main()\n', "main()\n"])
def test_a_script_is_found_again_by_itself_and_by_doctor_if_it_is_guarded(
    guard: str, tmp_path: Path, environment: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT) + guard, encoding="utf-8")

    def start(name: str) -> int:
        argv = [sys.executable, "script.py", name]
        return subprocess.run(argv, cwd=tmp_path, env=environment, check=False).returncode

    assert start("left") == SIGKILLED
    monkeypatch.syspath_prepend(tmp_path)
    checks = doctor(capsys)
    assert (tmp_path / "started.txt").read_text().split() == ["started"]  # doctor ran nothing
    if guard.startswith("if"):
        assert checks[0]["detail"].endswith("cleaned up: Mine")
    else:
        assert "works when it is imported" in checks[1]["detail"]
        assert start("other") == 0
    assert not (tmp_path / "left").exists()


def test_the_child_of_a_fork_does_not_keep_its_parents_lease(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    died = run(
        """
        with Scratch("left"):
            if os.fork() == 0:
                os.close(1), os.close(2)
                os.read(os.open("gate", os.O_RDONLY), 1)
                os._exit(0)
            kill()
        """
    )
    assert died.returncode == SIGKILLED
    run("with Scratch('other'): pass")
    os.close(os.open(tmp_path / "gate", os.O_WRONLY))  # the child lived until now
    assert not (tmp_path / "left").exists()


class Handled(ResourceManager[int]):
    def __init__(self, given: Any) -> None:
        self.given = given

    def handle(self) -> Any:
        return self.given

    def setup(self) -> int:
        return 1

    @classmethod
    def reap(cls, handle: Any) -> None:
        """Nothing is left."""


def test_a_handle_that_is_not_json_is_refused_before_setup(home: Path) -> None:
    with pytest.raises(ConfigError, match="handle of Handled cannot be kept as JSON"):
        Handled({"at": object()}).__enter__()


def test_no_handle_no_lease(leases: Path) -> None:
    with Handled(None):
        assert not leases.exists()


def test_a_handle_without_a_reap_is_refused(home: Path) -> None:
    class Half(ResourceManager[int]):
        def handle(self) -> Any:
            return {}

    with pytest.raises(ConfigError, match="no reap that could use it"):
        Half().__enter__()


def test_a_class_that_nobody_could_find_again_is_refused(home: Path) -> None:
    class Local(Handled):
        @classmethod
        def reap(cls, handle: Any) -> None:
            """Nobody finds it."""

    with pytest.raises(ConfigError, match="made within a function"):
        Local({}).__enter__()


def test_a_folder_that_cannot_be_written_is_said(home: Path) -> None:
    home.write_text("a file in the way")
    with pytest.raises(StorageError, match="leases of resources"):
        Handled({}).__enter__()


def test_of_many_processes_that_start_at_once_one_reaps(
    run: Run, tmp_path: Path, environment: Any
) -> None:
    for number in range(3):
        killed_with(run, "Scratch", f"left{number}")
    start = [
        sys.executable,
        "-c",
        "from scratches import *\nwith Scratch(f'own{os.getpid()}'): pass",
    ]
    started = [subprocess.Popen(start, cwd=tmp_path, env=environment) for _ in range(4)]
    assert [process.wait() for process in started] == [0] * 4
    reaped = (tmp_path / "reaped.txt").read_text().split()
    assert sorted(reaped) == [str(tmp_path / f"left{number}") for number in range(3)]


def test_a_lease_can_be_rewritten_and_is_never_seen_half(tmp_path: Path) -> None:
    folder = tmp_path / "leases"
    lease = Lease(new_record("m", "Kind", "", {"n": 1}), folder)
    lease.rewrite(new_record("m", "Kind", "", {"n": 2}))
    (path,) = folder.iterdir()
    assert json.loads(path.read_text())["handle"] == {"n": 2}
    lease.remove()
    lease.remove()
    assert list(folder.iterdir()) == []
