"""Scores a reader over polluted CSV files with known truth: one figure a kind of pollution.

Argument: a reader of ``tests/pollution/readers.py``. Prints the mean scores, and how many files it
refused, read wrong, or lost records of without a word.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path
from statistics import mean

from prefect_etl.engine.duckdb import Session

sys.path.append(str(Path(__file__).parents[2] / "tests" / "pollution"))


def main(name: str) -> dict[str, float]:
    from pollutions import cases
    from readers import READERS
    from scoring import lost, score

    warnings.simplefilter("ignore")  # pandas has opinions on dialects
    scores: dict[str, list[float]] = defaultdict(list)
    refused = wrong = losses = files = 0
    with tempfile.TemporaryDirectory() as folder:
        session = Session(spill=Path(folder, "spill"), threads=1)
        path = Path(folder, "a.csv")
        for case in cases():
            path.write_bytes(case.data)
            answer = READERS[name](path, case, session)
            right = score(case, answer)
            for kind in ("all", *case.kinds):
                scores[kind].append(right)
            files += 1
            refused += answer.refused is not None
            wrong += answer.refused is None and right < 1
            losses += bool(lost(case, answer))
        session.close()
    figures = {kind: mean(found) for kind, found in scores.items()}
    return figures | {"files": files, "refused": refused, "wrong": wrong, "lost": losses}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
