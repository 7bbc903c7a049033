"""One target under atheris: ``python -m fuzz.one TARGET [option of libFuzzer ...]``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["prefect_etl", "fuzz", "yaml", "json"]):
    from fuzz.targets import TARGETS


def main(words: list[str]) -> None:
    """Fuzz until the time is over or something is found."""
    atheris.Setup([words[0], *words[2:]], TARGETS[words[1]])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
