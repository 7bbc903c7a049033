"""Hides secrets in text: passwords in URIs, named credentials, and values known to be secret."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

MASK = "***"

# A password may hold "/" and "@", which a URI forbids and people write; a port is no password.
_USER_AND_PASSWORD = re.compile(r"(://[^\s/:@'\"]*):(?!\d{1,5}(?:[/?#\s]|$))[^\s'\"<>]*@")
_USER_ALONE = re.compile(r"://(?!\*\*\*@)[^\s/:@'\"]+@")
_NAMED = re.compile(
    r"((?:(?<![a-z])(?:sig|pwd)|[\w-]*(?:password|passwd|secret|token|signature|credential"
    r"|api_?key|access_?key)[\w-]*)=)(?!\*\*\*)[^\s&;'\",)\]}]+",
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


def register_uri(uri: str) -> None:
    """Hide the password of a URI from now on, also where it stands alone.

    Example:
        >>> register_uri("postgresql://etl:c0rrect-h0rse@db/ops")
        >>> redact("login with c0rrect-h0rse failed")
        'login with *** failed'
    """
    authority = uri.partition("://")[2].rpartition("@")[0]
    _, colon, password = authority.partition(":")
    if colon and password:
        register_secret(password)


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
