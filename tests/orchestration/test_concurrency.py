from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from prefect_etl.orchestration.server import ServerInfo
from prefect_etl.orchestration.server.probe import identity

Program = Callable[..., subprocess.Popen[str]]

FLOWS = 8
TASKS = 6
RUN_FLOWS = f"""
    import asyncio
    from prefect_etl.orchestration.decorators import flow, task

    @task
    async def step(number: int) -> int:
        return number

    @flow
    async def small() -> int:
        return sum(future.result() for future in [step.submit(n) for n in range({TASKS})])

    async def main() -> None:
        for _ in range({FLOWS} // 2):
            await asyncio.gather(small(), small())

    asyncio.run(main())
"""


def test_many_flows_of_two_processes_never_find_the_database_locked(
    prefect_server: ServerInfo, program: Program
) -> None:
    url = prefect_server.url
    before = completed_task_runs(url)
    runs = [program(RUN_FLOWS, PREFECT_API_URL=url) for _ in range(2)]
    for run in runs:
        _, errors = run.communicate()
        assert run.returncode == 0, errors
    expected = before + 2 * FLOWS * TASKS
    while completed_task_runs(url) < expected:  # the server records them in its own time
        time.sleep(0.1)
    assert completed_task_runs(url) == expected
    answer = identity(prefect_server.port, timeout=10)
    assert answer is not None
    assert answer["answers_503"] == 0


def completed_task_runs(url: str) -> int:
    import httpx

    completed = {"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    answer = httpx.post(f"{url}/task_runs/count", json=completed)
    assert answer.status_code == 200, answer.text
    count = answer.json()
    assert isinstance(count, int)
    return count
