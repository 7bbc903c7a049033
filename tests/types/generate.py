"""Measures the matrix of types and writes docs/types.md: ``python tests/types/generate.py``."""

from __future__ import annotations

import logging
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from page import PAGE, cells, written  # noqa: E402
from pairs import SOURCES, Servers, measured_anew, pairs, refused_of  # noqa: E402
from systems import MySQL, Postgres  # noqa: E402

from servers.mariadb import MariaDBServer  # noqa: E402
from servers.postgres import PostgresServer  # noqa: E402


def main() -> int:
    """Write the page; 1 where a value was changed in silence."""
    logging.disable(logging.CRITICAL)  # what is refused is told in the page
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    changed = []
    matrix = {}
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(PostgresServer())
        servers: Servers = {Postgres: lambda: postgres.uri(postgres.new_database())}
        if any(MySQL in pair for pair in pairs()):
            mariadb = stack.enter_context(MariaDBServer())
            servers[MySQL] = lambda: mariadb.uri(mariadb.new_database())
        for source, destination in pairs():
            refused = refused_of(cells(page, source.title, destination.title))
            found = measured_anew(source, destination, root, servers, refused)
            matrix[source.title, destination.title] = found
            for title, cell in found.items():
                what = f"{source.title}, {title}: {destination.title}"
                changed += [f"{what}: {text}\n" for text in cell.changed]
    titles = {kind.title: [case.title for case in cases] for kind, cases in SOURCES.items()}
    PAGE.write_text(written(matrix, titles), encoding="utf-8")
    sys.stderr.writelines(changed)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
