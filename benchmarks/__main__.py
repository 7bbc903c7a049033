"""``python -m benchmarks``: measure what is promised, beside floor and peer.

    python -m benchmarks                    all but the large case, three runs each
    python -m benchmarks --runs 5 load      one case, five runs
    python -m benchmarks --large            lineitem at scale 10 too: 8 GB, half an hour

Prints a table and writes build/bench/results.json. A missed target is said; it is no failure,
because other programs on the machine would then fail it too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from benchmarks.cases import CASES, Bench, large, remove_work
from benchmarks.measure import ProgramFailedError
from benchmarks.place import ROOT, Place
from benchmarks.result import Result, write_results


def main() -> int:
    """Run the cases that the command line names."""
    asked = _arguments()
    place = Place(ROOT / "build" / "bench")
    chosen = {name: case for name, case in CASES.items() if not asked.cases or name in asked.cases}
    if asked.large or "large" in asked.cases:
        chosen["large"] = large
    _compile()
    results: list[Result] = []
    failed = False
    with place.server() as server:
        bench = Bench(place, server, asked.runs)
        for name, case in chosen.items():
            print(f"{name}: load average {os.getloadavg()[0]:.1f}", flush=True)
            try:
                results.append(case(bench))
            except ProgramFailedError as error:
                print(error, file=sys.stderr, flush=True)
                failed = True
        remove_work(bench)
    print(f"\nMedians of {asked.runs} runs, whole processes; load average {os.getloadavg()}.\n")
    print("\n\n".join("\n".join(result.lines()) for result in results))
    path = place.folder / "results.json"
    write_results(path, results, asked.runs)
    print(f"\nWritten to {path}.")
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", choices=[*CASES, "large", []], help="all if not named")
    parser.add_argument("--runs", type=int, default=3, help="medians of so many runs")
    parser.add_argument("--large", action="store_true", help="lineitem at scale 10 too")
    return parser.parse_args()


def _compile() -> None:
    # Imports are half as fast without bytecode, and some machines switch it off.
    compile_all = [sys.executable, "-m", "compileall", "-q", str(ROOT / "src"), sys.prefix]
    subprocess.run(compile_all, check=False, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
