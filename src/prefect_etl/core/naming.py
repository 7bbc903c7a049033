"""Names of columns and tables as a pipeline wants them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from prefect_etl.errors import SchemaError

# Before a capital that begins a word: "orderID" is order_id, "HTTPStatus" is http_status.
_WORDS = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """A name in small letters, words joined by underscores, nothing else between them.

    Letters of all scripts stay; a name of nothing but signs, which would vanish, stays as it is.

    Example:
        >>> snake_case("Order ID"), snake_case("HTTPStatusCode"), snake_case("2nd Größe (cm)")
        ('order_id', 'http_status_code', '_2nd_größe_cm')
    """
    words = _WORDS.sub("_", unicodedata.normalize("NFC", name))
    plain = re.sub(r"[\W_]+", "_", words.lower()).strip("_")
    if not plain:
        return name
    return f"_{plain}" if plain[0].isdigit() else plain


def assert_apart(pairs: Iterable[tuple[str, str]], dataset: str) -> None:
    """Make sure that no two columns get one name.

    Args:
        pairs: Name at the source, name in the table.
        dataset: Named in the error.

    Raises:
        SchemaError: Two do; shows both.

    Example:
        >>> assert_apart([("Order ID", "order_id"), ("total", "total")], "orders")
    """
    taken: dict[str, str] = {}
    for source, name in pairs:
        other = taken.setdefault(name.lower(), source)
        if other is not source:
            raise SchemaError(
                f"{dataset}: columns {other!r} and {source!r} would both be called {name!r}",
                hint="Rename or drop one with columns: {rename: …} or {drop: …}.",
            )


def assert_distinct(names: Iterable[str], where: str) -> None:
    """Make sure that an engine that does not look at case tells columns apart.

    DuckDB would call the second of ``Case`` and ``case`` by another name, without a word.

    Args:
        names: The columns, as the source calls them.
        where: Named in the error.

    Raises:
        SchemaError: Two are alike; shows both.

    Example:
        >>> assert_distinct(["id", "Name"], "orders")
    """
    taken: dict[str, str] = {}
    for name in names:
        if name.lower() in taken:
            raise SchemaError(
                f"{where}: columns {taken[name.lower()]!r} and {name!r} have one name where case "
                "does not count",
                hint="Give one another name, or leave it out, at the source.",
            )
        taken[name.lower()] = name
