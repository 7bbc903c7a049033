"""The whole command, Prefect and all, killed and stopped at any moment; the next run converges."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest
from shop import SOAK, arrive, leftovers, make, outcome

PROGRAM = Path(sysconfig.get_path("scripts")) / "prefect-etl"
_KILLS = 100 if SOAK else 10
_STOPS = 20 if SOAK else 5
_LARGE = "".join(f"{n},x\n" for n in range(200_000))


def _files(number: int) -> dict[str, str]:
    orders = f"1,{number},2024-01-01\n{number + 9},b,2024-01-01\n"
    return {
        f"events/{number}.csv": f"n,what\n{_LARGE}{number},a\n",
        f"orders/{number}.csv": f"id,status,updated\n{orders}",
        f"prices/{number}.csv": f"sku,price\ns{number},{number}\n",
        f"people/{number}.jsonl": f'{{"name": "p{number}", "age": 3}}\n{{"name": "x"}}\n',
    }


def _runs(root: Path) -> set[Path]:
    return set((root / ".prefect_etl/shop/runs").glob("[!.]*.json"))


class Command:
    """``prefect-etl run`` in a process of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._before = _runs(root)
        self._process = subprocess.Popen(
            [PROGRAM, "run"],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_until_it_works(self) -> None:
        """Until the run is in its log: before that, there is nothing to interrupt."""
        while self._process.poll() is None and _runs(self.root) == self._before:
            time.sleep(0.002)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        out, errors = self._process.communicate()
        return self._process.returncode, out, errors


@pytest.fixture
def project(prefect_server, tmp_path) -> Path:
    root = make(tmp_path)
    arrive(root, _files(0))
    return root


def _duration(root: Path) -> float:
    """Seconds that a run works, seen from outside; it also loads what is there."""
    command = Command(root)
    command.wait_until_it_works()
    started = time.monotonic()
    code, out, errors = command.end()
    assert code == 0, out + errors
    return time.monotonic() - started


def _expected(tmp_path_factory, rounds: int) -> dict:
    from runner import Runner

    root = make(tmp_path_factory.mktemp("unkilled"))
    for number in range(rounds):
        arrive(root, _files(number))
    with Runner() as runner:
        assert runner.run(root)["status"] == "completed"
    return outcome(root)


def _settled(root: Path, tmp_path_factory, rounds: int) -> None:
    code, out, errors = _run(root)
    assert code == 0, out + errors
    wanted, found = _expected(tmp_path_factory, rounds), outcome(root)
    assert found["tables"] == wanted["tables"]
    assert found["aside"] == wanted["aside"]
    assert leftovers(root) == []


def _run(root: Path) -> tuple[int, str, str]:
    return Command(root).end()


def test_ten_kills_of_the_command_lose_and_double_nothing(project, tmp_path_factory):
    chance = random.Random(7)
    duration = _duration(project)
    for number in range(1, _KILLS + 1):
        arrive(project, _files(number))
        command = Command(project)
        command.wait_until_it_works()
        time.sleep(chance.uniform(0, duration))
        command.send(signal.SIGKILL)
        assert command.end()[0] in (-signal.SIGKILL, 0)
    _settled(project, tmp_path_factory, _KILLS + 1)


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Stopped.")],
)
def test_a_stopped_command_says_so_and_leaves_nothing(
    number, code, said, project, tmp_path_factory
):
    chance = random.Random(7)
    stopped = 0
    for stop in range(_STOPS):
        arrive(project, _files(stop))
        command = Command(project)
        command.wait_until_it_works()
        time.sleep(chance.uniform(0, 0.15))
        command.send(number)
        found, _, errors = command.end()
        assert "Traceback" not in errors
        if found == 0:  # the run was over before the signal came
            continue
        assert found == code
        assert f"{said} Run again to go on where it ended." in errors.splitlines()
        assert leftovers(project, settled=False) == []
        newest = max(_runs(project))
        status = json.loads(newest.read_text())["status"]
        assert status in (
            "interrupted",
            "completed",
        )  # the latter: it came while the run's end was told
        stopped += status == "interrupted"
    assert stopped
    _settled(project, tmp_path_factory, _STOPS)
