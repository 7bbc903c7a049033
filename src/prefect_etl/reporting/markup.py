"""HTML that is escaped by construction.

Text becomes markup only through :func:`tag`, which escapes it; what is markup already has the type
:class:`Html`. A template engine would do the same, and cost every run 40 ms to import.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from prefect_etl.reporting.words import printable

_VOID = frozenset({"meta", "br", "hr", "col"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Html | Iterable["Child"] | None


def text(child: Child) -> Html:
    """Content as HTML: plain text escaped, parts joined, None left out.

    Example:
        >>> text(["a < b", Html("<br>"), None])
        'a &lt; b<br>'
    """
    if child is None:
        return Html()
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return Html(escape(printable(child)))
    return Html("".join(text(part) for part in child))


def tag(name: str, /, *children: Child, **attributes: str | None) -> Html:
    """An element; ``class_`` and ``data_label`` are spelled ``class`` and ``data-label``.

    Example:
        >>> tag("p", "a & b", class_="x", title=None)
        '<p class="x">a &amp; b</p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(printable(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{text(children)}</{name}>")


def link(label: str, address: str) -> Html:
    """A link where the address is one that is safe to follow, else its text.

    Example:
        >>> link("report", "/tmp/a b.html")
        '<a href="file:///tmp/a%20b.html">report</a>'
        >>> link("x", "javascript:alert(1)")
        '<span>x: javascript:alert(1)</span>'
    """
    if address.startswith("/") and not address.startswith("//"):
        return tag("a", label, href=PurePosixPath(address).as_uri())
    try:
        safe = urlsplit(address).scheme in ("http", "https")
    except ValueError:  # not an address at all
        safe = False
    return tag("a", label, href=address) if safe else tag("span", f"{label}: {address}")
