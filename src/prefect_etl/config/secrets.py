"""Hides secrets in text: passwords in URIs, named credentials, and values known to be secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MASK = "***"

# A password may hold "/" and "@", which a URI forbids and people write; a port is no password.
_USER_AND_PASSWORD = re.compile(r"(://[^\s/:@'\"]*):(?!\d{1,5}(?:[/?#\s]|$))[^\s'\"<>]*@")
_USER_ALONE = re.compile(r"://(?!\*\*\*@)[^\s/:@'\"]+@")
_NAMED = re.compile(
    r"((?:(?<![a-z])(?:sig|pwd)|[\w-]*(?:password|passwd|secret|token|signature|credential"
    r"|api_?key|access_?key)[\w-]*)=)(?!\*\*\*)[^\s&;'\",)\]}]+",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?:^|_|-)(?:sig|pwd|auth|dsn)(?:$|_|-)|password|passwd|secret|token|signature|credential"
    r"|api_?key|access_?key|private_?key",
    re.IGNORECASE,
)
_SHORTEST = 4

_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def register_secret(value: str) -> None:
    """Hide a value from now on wherever :func:`redact` is applied in this process.

    Its percent-encoded and decoded forms are hidden too. Values of fewer than four characters
    would blank out ordinary words and are not registered.

    Example:
        >>> register_secret("tr0ub4dor")
        >>> redact("password tr0ub4dor refused")
        'password *** refused'
    """
    global _pattern  # noqa: PLW0603 - one pattern for the process, made again when it grows
    forms = {value, quote(value, safe=""), unquote(value)}
    _known.update(form for form in forms if len(form) >= _SHORTEST)
    if _known:
        longest_first = sorted(_known, key=len, reverse=True)
        # Whole words only: hiding "postgres" within "postgresql" would show what was hidden.
        _pattern = re.compile(
            r"(?<![A-Za-z0-9])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![A-Za-z0-9])"
        )


def names_secret(name: str) -> bool:
    """Whether a variable or field of this name is there to hold a secret.

    Example:
        >>> names_secret("SHOP_API_KEY"), names_secret("sslpassword"), names_secret("COUNTRY")
        (True, True, False)
    """
    return _NAME.search(name) is not None


def register_uri(uri: str) -> None:
    """Hide the password of a URI, and secrets in its query, also where they stand alone.

    Example:
        >>> register_uri("postgresql://etl:c0rrect-h0rse@db/ops")
        >>> redact("login with c0rrect-h0rse failed")
        'login with *** failed'
    """
    rest = uri.partition("://")[2]
    # What is written wrongly may be cut at any of them by whoever complains.
    for end in (place for place, char in enumerate(rest) if char == "@"):
        _, colon, password = rest[:end].partition(":")
        if colon and password:
            register_secret(password)
    try:
        query = urlsplit(uri).query
    except ValueError:  # no URI at all, or one with half an address: it will not be used
        return
    for name, value in parse_qsl(query):
        if names_secret(name):
            register_secret(value)


def forget_secrets() -> None:
    """Empty the list of known values; for tests."""
    global _pattern  # noqa: PLW0603 - as above
    _known.clear()
    _pattern = None


def redact(text: str) -> str:
    """The text with its secrets replaced by ``***``.

    Example:
        >>> redact("cannot reach postgresql://etl:hunter2@db/ops?sslpassword=x")
        'cannot reach postgresql://etl:***@db/ops?sslpassword=***'
        >>> redact("http://localhost:4200/runs")
        'http://localhost:4200/runs'
    """
    if _pattern is not None:
        text = _pattern.sub(MASK, text)
    if "://" in text:
        text = _USER_AND_PASSWORD.sub(rf"\1:{MASK}@", text)
        text = _USER_ALONE.sub(f"://{MASK}@", text)
    if "=" in text:
        text = _NAMED.sub(rf"\1{MASK}", text)
    return text


@contextmanager
def secrets_hidden() -> Iterator[None]:
    """Hide secrets in the text of what is raised within, before anybody writes it down.

    Prefect keeps the text of errors in its database, where no filter of ours is asked.
    """
    try:
        yield
    except Exception as error:
        hide_in(error)
        raise


def hide_in(error: BaseException) -> None:
    """Replace secrets in an error's text, and in those that led to it.

    Example:
        >>> register_secret("tr0ub4dor")
        >>> error = ValueError("no tr0ub4dor here", 7)
        >>> hide_in(error)
        >>> error
        ValueError('no *** here', 7)
    """
    known: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in known:
            continue
        known.add(id(one))
        one.args = tuple(redact(part) if isinstance(part, str) else part for part in one.args)
        for name in ("message", "hint"):
            text = getattr(one, name, None)
            if isinstance(text, str) and name in vars(one):
                setattr(one, name, redact(text))
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
