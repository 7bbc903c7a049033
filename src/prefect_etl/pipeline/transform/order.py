"""The order in which transformations run: each after those whose tables it reads."""

from __future__ import annotations

from collections.abc import Sequence

from prefect_etl.core.warehouse import TableRef
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.transform.prepared import Prepared


def in_order(prepared: Sequence[Prepared]) -> tuple[Prepared, ...]:
    """Sort transformations; those that do not depend on each other stay as they were written.

    Raises:
        ConfigError: They depend on each other in a circle, which is named.
    """
    makers = {part.table: part for part in prepared}
    done: dict[TableRef, Prepared] = {}

    def visit(part: Prepared, path: tuple[Prepared, ...]) -> None:
        if part.table in done:
            return
        if part in path:
            raise _circle((*path[path.index(part) :], part))
        for read in part.reads:
            if read.table in makers:
                visit(makers[read.table], (*path, part))
        done[part.table] = part

    for part in prepared:
        visit(part, ())
    return tuple(done.values())


def _circle(path: Sequence[Prepared]) -> ConfigError:
    names = [part.name for part in path]
    if len(names) == 2:
        return ConfigError(
            f"transformation {names[0]} reads its own table",
            hint="Read what it is made from; kind: incremental keeps the rows of other keys.",
        )
    return ConfigError(
        f"transformations read each other in a circle: {' reads '.join(names)}",
        hint="Take what they share out into a transformation of its own.",
    )
