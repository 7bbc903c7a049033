"""What a contract of ten rules costs on top of a load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Program
from benchmarks.result import Result, Target

if TYPE_CHECKING:
    from benchmarks.cases import Bench

_CONTRACT = """
        contract:
          columns:
            l_orderkey: {nullable: false, ge: 1}
            l_linenumber: {ge: 1, le: 7}
            l_quantity: {gt: 0, le: 50}
            l_discount: {ge: 0, le: 0.1}
            l_returnflag: {isin: [A, N, R]}
            l_shipmode: {max_length: 10}
          rows:
            received_later: l_receiptdate > l_shipdate
"""


def contract(bench: Bench) -> Result:
    """6 M rows of CSV, with a contract that nothing breaks and without."""
    csv = bench.place.lineitem(1)

    def write(rules: str) -> Callable[[Path], None]:
        def written(folder: Path) -> None:
            (folder / "pipeline.yaml").write_text(
                "name: bench\ndestination: duckdb:///warehouse.duckdb\nsources:\n  files:\n"
                f"    connection: file://{csv.parent}\n    datasets:\n      lineitem:\n"
                f"        path: {csv.name}{rules}\n",
                encoding="utf-8",
            )

        return written

    def program(name: str, rules: str) -> Program:
        folder = bench.folder(name.replace(" ", "-"))
        return Program(name, [bench.place.command, "run"], folder, before=write(rules))

    found = bench.measure(
        program("without a contract", ""), program("ten rules", _CONTRACT.rstrip())
    )
    plain, checked = found["without a contract"], found["ten rules"]
    return Result(
        "a contract of ten rules over 6 M rows",
        found,
        (
            Target("wall time", checked.seconds, 1.1 * plain.seconds),
            Target("processor time / without", checked.cpu / plain.cpu, 1.1, "x"),
        ),
    )
