"""The cases: which programs stand beside each other, and what is promised of ours."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cache_cases import caching
from benchmarks.check_cases import checking
from benchmarks.contract_cases import contract
from benchmarks.database_cases import (
    between_postgres,
    from_mysql,
    from_postgres,
    memory,
    merge_postgres,
    to_postgres,
)
from benchmarks.key_cases import keys
from benchmarks.measure import Medians, Program, in_turn, run
from benchmarks.metric_cases import metrics
from benchmarks.partition_cases import partitions
from benchmarks.place import Place, Server
from benchmarks.pollution_cases import pollution
from benchmarks.resource_cases import resources
from benchmarks.result import Result, Target
from benchmarks.subflow_cases import subflows

_MEMORY_LIMIT_MB = 1024**3 / 1e6
_MEMORY_ALLOWED_MB = _MEMORY_LIMIT_MB + 250
_PREFECT_ALLOWED = 1.0
_COMPRESSIONS = ("snappy", "lz4_raw", "zstd, COMPRESSION_LEVEL 1", "zstd")


@dataclass(frozen=True)
class Bench:
    """What the cases work with."""

    place: Place
    server: Server
    runs: int

    def measure(self, *programs: Program) -> dict[str, Medians]:
        """Run programs in turn."""
        return in_turn(programs, self.runs, self.place.env, lambda text: print(text, flush=True))

    def folder(self, *names: str) -> Path:
        """Where a program works."""
        return self.place.folder.joinpath("work", *names)

    def bare(self, name: str, *flows: str) -> Program:
        """The plain Prefect program with so many flows and tasks, on the same server."""
        argv = self.place.python("bare_prefect", *flows)
        env = {"PREFECT_API_URL": self.server.url}
        return Program(name, argv, self.folder("bare"), env=env)


def _pipeline_file(data: Path, dataset: str, pattern: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "pipeline.yaml").write_text(
            f"name: bench\ndestination: duckdb:///warehouse.duckdb\nsources:\n  files:\n"
            f"    connection: file://{data}\n    datasets:\n"
            f"      {dataset}: {{path: '{pattern}', write: append}}\n",
            encoding="utf-8",
        )

    return write


def load(bench: Bench, scale: int = 1) -> Result:
    """One large CSV file -> raw zone -> table."""
    place, csv = bench.place, str(bench.place.lineitem(scale))
    ours = Program(
        "prefect-etl run",
        [place.command, "run"],
        bench.folder("ours"),
        before=_pipeline_file(Path(csv).parent, "lineitem", "lineitem.csv"),
    )
    floor, peers = bench.folder("floor"), [bench.folder(f"dlt-{r}") for r in ("duckdb", "pyarrow")]
    found = bench.measure(
        Program("plain DuckDB, two steps", place.python("two_steps", csv, str(floor)), floor),
        ours,
        bench.bare("bare Prefect", "etl:1", "extract_raw:1"),
        *(
            Program(
                f"dlt, Arrow from {folder.name.removeprefix('dlt-')}",
                place.peer("dlt_load", csv, str(folder), folder.name.removeprefix("dlt-")),
                folder,
            )
            for folder in peers
        ),
    )
    mine, script = found["prefect-etl run"], found["plain DuckDB, two steps"]
    dlt = min((m for name, m in found.items() if name.startswith("dlt")), key=lambda m: m.seconds)
    with_prefect = script.seconds + found["bare Prefect"].seconds + _PREFECT_ALLOWED
    floor_target = (
        Target("at most script + bare Prefect + 1.0 s", mine.seconds, with_prefect)
        if scale == 1
        else Target("at most 1.1 x script + 5 s", mine.seconds, 1.1 * script.seconds + 5)
    )
    faster = 1.1 if scale == 1 else 1.4
    return Result(
        f"lineitem at scale {scale}: CSV -> raw zone -> table",
        found,
        (
            floor_target,
            Target(f"at least {faster} times as fast as dlt", mine.seconds, dlt.seconds / faster),
            Target("peak memory: memory_limit + 250 MB", mine.megabytes, _MEMORY_ALLOWED_MB, "MB"),
        ),
    )


def flights(bench: Bench) -> Result:
    """The template: many small datasets, contracts and transformations."""
    place, project = bench.place, bench.folder("flights")

    def init(folder: Path) -> None:
        folder.rmdir()
        silent = Program("init", [place.command, "init", str(project)], folder.parent, keep=True)
        run(silent, place.env)

    first = Program("first run", [place.command, "run"], project, before=init)
    again = Program("run with nothing new", [place.command, "run"], project, keep=True)
    before = bench.server.work()
    run(first, place.env)
    made = bench.server.work() - before
    ran = (name.removesuffix(" runs") for name in made if name.endswith(" runs"))
    flows = sorted(ran, key=lambda name: name != "etl")
    work = [f"{name}:{made[name]}" for name in flows]
    run(again, place.env)
    idle = bench.server.work() - before - made
    found = bench.measure(
        bench.bare("bare Prefect, as many flows and tasks", *work),
        first,
        bench.bare("bare Prefect, one flow", "etl:0"),
        again,
    )
    bare, one = found["bare Prefect, as many flows and tasks"], found["bare Prefect, one flow"]
    quiet = found["run with nothing new"].seconds
    return Result(
        "flights template, warm server",
        found,
        (
            Target("first run: bare Prefect + 1.0 s", found["first run"].seconds, bare.seconds + 1),
            Target("nothing new: bare Prefect + 0.3 s", quiet, one.seconds + 0.3),
        ),
        (
            f"first run: tasks by flow: {', '.join(work)}",
            f"nothing new: {', '.join(f'{name} {n}' for name, n in idle.items()) or 'no runs'}",
        ),
    )


def start_up(bench: Bench) -> Result:
    """What `--help` costs."""
    program = Program("--help", [bench.place.command, "--help"], bench.folder("help"))
    found = bench.measure(program)
    return Result("prefect-etl --help", found, (Target("at most", found["--help"].seconds, 0.3),))


def raw_zone(bench: Bench) -> Result:
    """The raw zone's write beside DuckDB's COPY; and the compressions to choose from."""
    place, csv = bench.place, bench.place.lineitem(1)
    write = _pipeline_file(csv.parent, "lineitem", "lineitem.csv")
    programs = [
        Program(
            f"{who}, {compression}",
            place.python("raw_write", who, "pipeline.yaml", compression, str(csv)),
            bench.folder(f"raw-{who}"),
            before=write,
        )
        for compression in _COMPRESSIONS
        for who in (("duckdb", "ours") if compression == "snappy" else ("ours",))
    ]
    found = bench.measure(*programs)
    notes = [
        f"{name:<40} write {m.figure('write'):6.2f} s  cpu {m.figure('cpu'):6.2f} s   "
        f"table {m.figure('load'):6.2f} s   "
        f"{m.figure('megabytes'):6.0f} MB"
        for name, m in found.items()
    ]
    ratio = found["ours, snappy"].figure("write") / found["duckdb, snappy"].figure("write")
    target = Target("raw zone / DuckDB's COPY of the same file", ratio, 1.15, "x")
    return Result("raw zone, engine level", found, (target,), notes)


def small_files(bench: Bench) -> Result:
    """10,000 files in one load."""
    place, data = bench.place, bench.place.small_files()
    write = _pipeline_file(data, "events", "*.csv")
    floor = bench.folder("glob")
    found = bench.measure(
        Program(
            "DuckDB, read_csv over the glob",
            place.python("one_statement", f"{data}/*.csv", str(floor)),
            floor,
        ),
        Program(
            "the same, columns given",
            place.python("one_statement", f"{data}/*.csv", str(floor), "columns"),
            floor,
        ),
        Program(
            "without Prefect",
            place.python("without_prefect", "pipeline.yaml"),
            bench.folder("small"),
            before=write,
        ),
        Program("prefect-etl run", [place.command, "run"], bench.folder("small-run"), before=write),
        bench.bare("bare Prefect", "etl:1", "extract_raw:1"),
    )
    limit = 3 * found["DuckDB, read_csv over the glob"].seconds
    return Result(
        "10,000 small files in one load",
        found,
        (
            Target("without Prefect: 3 x read_csv", found["without Prefect"].seconds, limit),
            Target("prefect-etl run: 3 x read_csv", found["prefect-etl run"].seconds, limit),
        ),
    )


def large(bench: Bench) -> Result:
    """As :func:`load`, ten times as much."""
    return load(bench, scale=10)


CASES: dict[str, Callable[[Bench], Result]] = {
    "help": start_up,
    "flights": flights,
    "load": load,
    "raw": raw_zone,
    "small": small_files,
    "partitions": partitions,
    "keys": keys,
    "subflows": subflows,
    "check": checking,
    "resources": resources,
    "metrics": metrics,
    "caching": caching,
    "to_postgres": to_postgres,
    "from_postgres": from_postgres,
    "between_postgres": between_postgres,
    "merge_postgres": merge_postgres,
    "contract": contract,
    "from_mysql": from_mysql,
    "memory": memory,
    "pollution": pollution,
}
"""What runs unless a case is named; ``large`` only on demand."""


def remove_work(bench: Bench) -> None:
    """Remove what the measured programs wrote."""
    shutil.rmtree(bench.folder(), ignore_errors=True)
