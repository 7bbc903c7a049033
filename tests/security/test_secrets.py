"""No secret is in anything that is written, on whatever way a run fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest
from leaks import found_in, found_under, watched
from prefect.blocks.system import Secret

_JOBS = """
import os, pathlib, time

def plain(token):
    raise RuntimeError(f"the token {token} was refused")

def url(token):
    raise RuntimeError(f"GET https://api.example/rows?token={token}: 401")

def slow(token):
    yield {"id": 1}
    pathlib.Path("started").write_text("x")
    time.sleep(60)
"""
_PROGRAM = Path(sysconfig.get_path("scripts")) / "prefect-etl"
_WRITTEN = frozenset({"pipeline.yaml", "prefect_etl.toml", ".env"})


@dataclass
class World:
    """A project with a secret in every place that may hold one."""

    folder: Path
    postgres: str
    secrets: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)

    def secret(self, name: str, text: str = "{}") -> str:
        """A new secret; ``text`` says what stands around what tells it from others."""
        self.secrets[name] = text.format(f"c4nary{uuid4().hex[:12]}")
        return self.secrets[name]

    def set(self, variable: str, value: str) -> str:
        self.environment[variable] = value
        return f"${{{variable}}}"

    def place(self, user: str, query: str = "", port: int | None = None) -> str:
        """The URI of the server with other credentials."""
        parts = urlsplit(self.postgres)
        return f"postgresql://{user}@127.0.0.1:{port or parts.port}{parts.path}{query}"

    def source(self, connection: str, dataset: str) -> None:
        name = f"s{len(self.sources)}"
        self.sources.append(
            f"  {name}:\n    connection: {connection!r}\n"
            f"    datasets:\n      d{len(self.sources)}: {{{dataset}}}\n"
        )

    def run(self, *words: str) -> subprocess.Popen[bytes]:
        (self.folder / "pipeline.yaml").write_text(
            "name: leaky\ndestination: duckdb:///w.duckdb\nsources:\n" + "".join(self.sources)
        )
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        return subprocess.Popen(
            [_PROGRAM, *words],
            cwd=self.folder,
            env={**os.environ, **self.environment, "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def leaks(self, output: bytes) -> set[str]:
        """Where secrets are, of all that was written: also by Prefect's server."""
        home = Path(os.environ["PREFECT_ETL_HOME"])
        return {
            *(f"{name} in the output" for name in found_in(output, self.secrets)),
            *found_under(self.folder, self.secrets, _WRITTEN),
            *found_under(home, self.secrets),
        }


@pytest.fixture
def world(tmp_path, pg_uri, prefect_server) -> Iterator[World]:
    del prefect_server
    (tmp_path / "jobs.py").write_text(_JOBS)
    return World(tmp_path, pg_uri)


def _fill_connections(world: World) -> None:
    table = "table: t"
    wrong = world.secret("wrong password in the file")
    world.source(world.place(f"etl:{wrong}"), table)
    special = world.secret("percent-encoded password", "p/{}@:ß#?&")
    uri = world.place(f"etl:{quote(special, safe='')}")
    world.source(world.set("OPS_URL", uri), table)
    world.source(world.set("PART", world.place("etl:${PW}")), table)
    asked = world.secret("password in the query")
    world.source(world.place("etl", f"?password={asked}"), table)
    away = world.secret("host away")
    world.source(world.place(f"etl:{away}", port=1), table)
    untrusted = world.secret("TLS failure")
    key = world.secret("password of a key")
    world.source(world.place(f"etl:{untrusted}", f"?sslmode=require&sslpassword={key}"), table)
    in_file = world.secret("connection of the settings file")
    (world.folder / "prefect_etl.toml").write_text(
        f'[connections]\nops = "{world.place(f"etl:{in_file}")}"\n'
    )
    world.source("ops", table)
    dotted = world.secret("connection of .env")
    (world.folder / ".env").write_text(
        f"PREFECT_ETL_CONNECTIONS__TWO={world.place(f'etl:{dotted}')}\n"
    )
    world.source("two", table)
    variable = world.secret("connection of a variable")
    world.set("PREFECT_ETL_CONNECTIONS__THREE", world.place(f"etl:{variable}"))
    world.source("three", table)
    world.set("PGPASSWORD", world.secret("PGPASSWORD"))
    world.source(world.place("etl"), table)
    mysql = world.secret("MySQL away")
    world.source(f"mysql://etl:{mysql}@127.0.0.1:1/shop", table)
    kept = world.secret("connection of a block")
    Secret(value=world.place(f"etl:{kept}")).save("canary-of-security", overwrite=True)
    world.source("block:secret/canary-of-security", table)
    world.set("PREFECT_ETL_METRICS_PORT", "0")
    world.set("PREFECT_ETL_METRICS_PASSWORD", world.secret("password of the metrics"))
    collector = world.secret("password of the collector")
    world.set("PREFECT_ETL_OTLP_ENDPOINT", f"http://etl:{collector}@127.0.0.1:1")


def _fill_datasets(world: World) -> None:
    working = world.postgres
    token = world.set("SQL_TOKEN", world.secret("value in a query"))
    world.source(working, f"query: \"SELECT * FROM nothing WHERE token = '{token}'\"")
    broken = world.set("BROKEN_TOKEN", world.secret("value in a broken query"))
    world.source(working, f"query: \"SELECT 1 AS x WHERE '{broken}' AND\"")
    slow = world.set("SLOW_TOKEN", world.secret("value in a slow query"))
    slowly = working + ("&" if "?" in working else "?") + "options=-c%20statement_timeout%3D200"
    world.source(slowly, f"query: \"SELECT pg_sleep(5), '{slow}' AS x\"")
    for name in ("plain", "url"):
        value = world.set(f"API_{name.upper()}", world.secret(f"token in an error, {name}"))
        world.source("python://", f'function: "jobs:{name}", parameters: {{token: "{value}"}}')
    (world.folder / "a.csv").write_text("id\n1\n")
    role = world.set("ROLE_PASSWORD", world.secret("password in before"))
    world.source("file://.", f"path: a.csv, before: [\"ALTER ROLE x PASSWORD '{role}'\"]")
    where = world.set("WHERE_TOKEN", world.secret("value in where"))
    world.source("file://.", f"path: a.csv, where: \"nothing = '{where}'\"")
    bad = world.set("BAD_PASSWD", world.secret("value in a broken where"))
    world.source("file://.", f"path: a.csv, where: \"id = '{bad}' AND\"")


def test_no_secret_is_written_however_a_run_fails(world):
    _fill_connections(world)
    _fill_datasets(world)
    assert len(world.secrets) >= 20
    with watched(world.secrets) as shown:
        output = world.run("--debug", "run", "-v").communicate(timeout=100)[0]
    (log,) = (world.folder / ".prefect_etl" / "leaky" / "runs").glob("*.json")
    datasets = json.loads(log.read_text())["datasets"]
    assert [d["status"] for d in datasets] == ["failed"] * len(world.sources)
    for words in (["plan"], ["history"], ["report", "--json"]):
        output += world.run(*words).communicate(timeout=60)[0]
    assert world.leaks(output) | shown == set()


def test_no_secret_is_left_where_a_run_was_killed(world):
    token = world.set("API_TOKEN", world.secret("token of a source"))
    world.source("python://", f'function: "jobs:slow", parameters: {{token: "{token}"}}')
    away = world.secret("host away")
    world.source(world.place(f"etl:{away}", port=1), "table: t")
    with watched(world.secrets) as shown:
        process = world.run("run", "-v")
        until = time.monotonic() + 60
        while not (world.folder / "started").exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        output = process.communicate(timeout=10)[0]
    assert world.leaks(output) | shown == set()
