"""Looks at what is installed with eyes of its own: locks, the environment, known vulnerabilities.

    python scripts/audit.py locks            # every requirement is pinned and hashed; no network
    python scripts/audit.py installed        # what is installed is what the lock says
    python scripts/audit.py vulnerabilities  # asks the index; needs pip-audit (scripts/audit.txt)

``vulnerabilities`` fails where a package was skipped, which pip-audit takes for fine, and where the
service does not know a vulnerability that everybody knows: then it was not really asked. With
``--where-reachable`` the latter is said, and no failure.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = (
    "requirements.lock",
    "benchmarks/requirements.lock",
    "scripts/audit.txt",
    "fuzz/requirements.txt",
)
MAIN = "requirements.lock"
# GHSA-jjg7-2v4v-x38h: a service that does not name it is none.
CANARY = "idna==3.4"
_PINNED = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w, -]+\])?==[^\s;]+( ; .+)?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
# What every environment has, and the package itself.
_OWN = frozenset({"pip", "setuptools", "wheel", "prefect-etl"})
_PIP_AUDIT_SECONDS = 600


def requirements(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Each requirement of a lock with its options, lines that go on joined."""
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement, *options = re.split(r"\s+(?=--)", line.strip())
            yield requirement.strip(), options


def lock_faults(path: Path) -> Iterator[str]:
    """What is wrong with a lock: a name without a version, a file without a hash, an index."""
    for requirement, options in requirements(path):
        if not _PINNED.fullmatch(requirement):
            yield f"{path}: {requirement} is not pinned to one version"
        if not options or not all(_HASH.fullmatch(option) for option in options):
            yield f"{path}: {requirement} has no hash for each of its files, or other options"


def installed_faults(path: Path) -> Iterator[str]:
    """How this environment differs from a lock."""
    parsed = [Requirement(requirement) for requirement, _ in requirements(path)]
    wanted = {
        str(canonicalize_name(r.name)): str(r.specifier).removeprefix("==")
        for r in parsed
        if r.marker is None or r.marker.evaluate()
    }
    found = {str(canonicalize_name(d.metadata["Name"])): d.version for d in distributions()}
    for name in sorted(wanted.keys() | found.keys() - _OWN):
        if wanted.get(name) != found.get(name):
            locked, there = wanted.get(name, "nothing"), found.get(name, "nothing")
            yield f"{name}: {path} says {locked}, and {there} is installed"


def vulnerability_faults(paths: Sequence[Path]) -> Iterator[str]:
    """What the index knows of the packages of locks, and which it was not asked of."""
    for path in paths:
        for dependency in _audited(path):
            name = f"{dependency['name']} {dependency.get('version', '')}".strip()
            if reason := dependency.get("skip_reason"):
                yield f"{path}: {name} was skipped: {reason}"
            for found in dependency.get("vulns", ()):
                fixed = ", ".join(found["fix_versions"]) or "no version yet"
                yield f"{path}: {name} has {found['id']}; mended in {fixed}"


def is_answered() -> bool:
    """Whether there is a service that knows what everybody knows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "canary.txt"
        path.write_text(f"{CANARY}\n", encoding="utf-8")
        return any(dependency.get("vulns") for dependency in _audited(path))


def _audited(path: Path) -> list[dict[str, Any]]:
    program = str(Path(sysconfig.get_path("scripts")) / "pip-audit")
    command = [
        program,
        "--requirement",
        str(path),
        "--no-deps",
        "--disable-pip",
        "--format",
        "json",
    ]
    done = subprocess.run(  # noqa: S603 - the program of this environment
        [*command, "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PIP_AUDIT_SECONDS,
    )
    if not done.stdout.startswith("{"):
        return [{"name": str(path), "skip_reason": done.stderr.strip()[-300:]}]
    found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Audit, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["locks", "installed", "vulnerabilities"])
    parser.add_argument("--where-reachable", action="store_true")
    given = parser.parse_args(words)
    paths = [Path(lock) for lock in LOCKS]
    if given.what == "locks":
        faults = [fault for path in paths for fault in lock_faults(path)]
    elif given.what == "installed":
        faults = list(installed_faults(Path(MAIN)))
    elif is_answered():
        faults = list(vulnerability_faults(paths))
    else:
        print(f"NOT AUDITED: no service here knows that {CANARY} is vulnerable")  # noqa: T201
        return 0 if given.where_reachable else 1
    print("\n".join(faults) or f"{given.what}: nothing is wrong")  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
