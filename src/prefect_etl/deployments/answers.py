"""What a Prefect server answers when it does not do what it was asked, in our own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect_etl.errors import Fatal, Retriable


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors for those of Prefect's client.

    Raises:
        Retriable: The server does not answer, or has no time.
        Fatal: It refused.
    """
    from httpx import HTTPStatusError, TransportError

    try:
        yield
    except TransportError as error:
        raise _silent(error) from error
    except HTTPStatusError as error:
        status = error.response.status_code
        if status >= 500:
            raise _silent(error) from error
        raise Fatal(
            f"the Prefect server refused {error.request.method} {error.request.url.path}:"
            f" {status}: {error.response.text[:500]}",
            hint="Is PREFECT_API_KEY or PREFECT_API_AUTH_STRING set, and the server's version 3.8?"
            if status in (401, 403, 404)
            else None,
        ) from error
    except RuntimeError as error:
        # Prefect's own word for a server that cannot be asked for its version.
        if not str(error).startswith("Failed to reach API"):
            raise
        raise _silent(error) from error


def _silent(error: Exception) -> Retriable:
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    reason = str(error.__cause__ or error).splitlines()[0]
    return Retriable(
        f"the Prefect server at {url} does not answer: {reason}",
        hint="Start it, or set PREFECT_API_URL to one that runs;"
        " without it the local server of this machine is used.",
    )
