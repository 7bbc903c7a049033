"""Where the benchmark works: its folder, the peers' environment, the data, a server of its own."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import venv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
_FILES, _ROWS = 10_000, 20
_SETTLED_SECONDS = 1.5


@dataclass(frozen=True)
class Orders:
    """A table as two files: all its rows, and none."""

    full: Path
    empty: Path


@dataclass(frozen=True)
class Place:
    """The folder of all that is made; nothing outside it is touched."""

    folder: Path

    @cached_property
    def env(self) -> dict[str, str]:
        """What all measured programs see: no settings of the user's, bytecode, one server."""
        ours = ("PREFECT_", "PYTHONDONTWRITEBYTECODE", "PYTHONPROFILE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return kept | {
            "PYTHONPATH": str(ROOT),
            "PREFECT_ETL_HOME": str(self.folder / "home"),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "NO_COLOR": "1",
        }

    @property
    def command(self) -> str:
        """The console script of the environment that runs the benchmark."""
        return str(Path(sys.executable).parent / "prefect-etl")

    def python(self, program: str, *arguments: str) -> list[str]:
        """The words that run one of our programs."""
        return [sys.executable, "-m", f"benchmarks.programs.{program}", *arguments]

    def peer(self, program: str, *arguments: str) -> list[str]:
        """The words that run a program in the peers' environment."""
        file = ROOT / "benchmarks" / "programs" / f"{program}.py"
        return [str(self._peers / "python"), str(file), *arguments]

    @cached_property
    def _peers(self) -> Path:
        """The peers' own environment, made from its lock."""
        lock = ROOT / "benchmarks" / "requirements.lock"
        folder = self.folder / "venv"
        done, text = folder / ".done", lock.read_text(encoding="utf-8")
        scripts = folder / "bin"
        if not done.exists() or done.read_text(encoding="utf-8") != text:
            print("Installing the peers …", flush=True)
            venv.create(folder, with_pip=True, clear=True)
            pip = [str(scripts / "pip"), "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", str(lock)], check=True)
            compile_all = [str(scripts / "python"), "-m", "compileall", "-q", str(folder / "lib")]
            subprocess.run(compile_all, check=False, stdout=subprocess.DEVNULL)
            done.write_text(text, encoding="utf-8")
        return scripts

    def lineitem(self, scale: int) -> Path:
        """TPC-H's largest table as one CSV file, warm in the page cache."""
        folder = self.folder / "data" / f"sf{scale}"
        file = folder / "lineitem.csv"
        if not file.exists():
            print(f"Making lineitem at scale {scale} …", flush=True)
            making = folder.with_suffix(".new")
            made = [str(self._peers / "tpchgen-cli"), "csv", "-s", str(scale), "-T", "lineitem"]
            subprocess.run([*made, "-o", str(making)], check=True)
            making.rename(folder)
        with file.open("rb") as stream:
            while stream.read(1 << 22):
                pass
        return file

    def orders(self) -> Orders:
        """TPC-H's orders at scale 1 as a Parquet file, and a file of its columns without rows."""
        import duckdb

        folder = self.folder / "data" / "orders"
        if not folder.exists():
            print("Making orders …", flush=True)
            making = folder.with_suffix(".new")
            made = [str(self._peers / "tpchgen-cli"), "parquet", "-s", "1", "-T", "orders"]
            subprocess.run([*made, "-o", str(making)], check=True)
            (made_file,) = making.rglob("*.parquet")
            full = making / "full.parquet"
            duckdb.sql(f"COPY (FROM '{made_file}') TO '{full}'")
            duckdb.sql(f"COPY (FROM '{full}' LIMIT 0) TO '{making / 'empty.parquet'}'")
            making.rename(folder)
        return Orders(folder / "full.parquet", folder / "empty.parquet")

    def small_files(self) -> Path:
        """A folder of 10,000 CSV files of 20 rows."""
        folder = self.folder / "data" / "small"
        if folder.exists():
            return folder
        print(f"Making {_FILES:,} small files …", flush=True)
        making, seed = folder.with_suffix(".new"), random.Random(1)
        making.mkdir(parents=True, exist_ok=True)
        for number in range(_FILES):
            rows = (
                f"{number * _ROWS + row},2026-01-{1 + row:02},{seed.random():.6f},"
                f"name {seed.randrange(1000)},{seed.choice(['true', 'false'])}\n"
                for row in range(_ROWS)
            )
            text = "id,day,amount,name,active\n" + "".join(rows)
            (making / f"part-{number:05}.csv").write_text(text, encoding="utf-8")
        making.rename(folder)
        return folder

    @contextmanager
    def server(self) -> Iterator[Server]:
        """A warm Prefect server, started by our own command and stopped at the end."""
        subprocess.run([self.command, "server", "start"], env=self.env, check=True)
        try:
            said = subprocess.run(
                [self.command, "server", "status", "--json"],
                env=self.env,
                check=True,
                capture_output=True,
            )
            yield Server(json.loads(said.stdout)["url"])
        finally:
            subprocess.run([self.command, "server", "stop"], env=self.env, check=True)


@dataclass(frozen=True)
class Server:
    """The server that the measured programs share."""

    url: str

    def work(self) -> Counter[str]:
        """How many runs and tasks there were of each flow, once the server has noted all.

        Tasks stand under ``NAME``, runs of the flow under ``NAME runs``.
        """
        seen = self._work()
        while True:
            time.sleep(_SETTLED_SECONDS)  # task runs are noted after the fact
            now = self._work()
            if now == seen:
                return now
            seen = now

    def _work(self) -> Counter[str]:
        found: Counter[str] = Counter()
        # A subflow is a task run of its caller's too; that one is Prefect's own.
        own = {"subflow_runs": {"exists_": False}}
        for flow in self._post("/flows/filter"):
            of_flow = {"flows": {"id": {"any_": [flow["id"]]}}}
            found[f"{flow['name']} runs"] = self._post("/flow_runs/count", of_flow)
            found[flow["name"]] = self._post("/task_runs/count", {**of_flow, "task_runs": own})
        return found

    def _post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = Request(
            self.url + path,
            data=json.dumps(body or {}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)
