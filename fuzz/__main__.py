"""``python -m fuzz SECONDS [TARGET ...]``: each target in turn, for so many seconds.

Exits with 1 where one fails; what made it fail is in ``build/fuzz/``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fuzz.targets import TARGETS

_KEPT = Path("build/fuzz")
_LONGEST = 4096
# An input that takes longer is a fault, too.
_TIMEOUT_SECONDS = 10


def main(words: list[str]) -> int:
    """Run the targets, each in a process of its own."""
    seconds = int(words[0]) if words else 60
    failed = []
    for name in words[1:] or TARGETS:
        corpus = _KEPT / name
        corpus.mkdir(parents=True, exist_ok=True)
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={_LONGEST}",
            f"-timeout={_TIMEOUT_SECONDS}",
            f"-artifact_prefix={_KEPT}/{name}-",
            "-verbosity=0",
            "-print_final_stats=1",
        ]
        command = [sys.executable, "-m", "fuzz.one", name, *options, str(corpus)]
        if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own program
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "nothing was found")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
