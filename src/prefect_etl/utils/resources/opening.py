"""One resource is opened and closed: its lease, its setup, its cleanup.

Each is written once, as a coroutine that suspends only where the user's functions do.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from prefect_etl.errors import ConfigError
from prefect_etl.utils.resources.leases import Lease, lease_folder, new_record
from prefect_etl.utils.resources.reaping import class_path, reap_left_by

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Managed(Protocol):
    """What a lifetime needs of a resource."""

    can_reap: ClassVar[bool]

    def setup(self) -> Any:
        """Open it; may be async."""

    def cleanup(self) -> Any:
        """Close it; may be async."""

    def handle(self) -> Mapping[str, Any] | None:
        """What ``reap`` needs, or None."""

    @classmethod
    def reap(cls, handle: Mapping[str, Any]) -> Any:
        """Close what a killed process left."""


def is_async(resource: Managed) -> bool:
    """Whether a resource needs a loop."""
    return any(map(inspect.iscoroutinefunction, (resource.setup, resource.cleanup)))


async def opened(resource: Managed) -> tuple[Any, Lease | None]:
    """Set a resource up; suspends only where its ``setup`` does.

    Its lease is durable before the setup begins, if there is a handle then, and before the
    resource is used. What a setup that failed has opened is cleaned up.
    """
    lease = _leased(resource)
    try:
        value = resource.setup()
        if inspect.isawaitable(value):
            value = await value
        lease = _leased_again(resource, lease)
    except BaseException as error:  # a setup that was cancelled leaves something open, too
        await _closed_after(error, resource, lease)
        raise
    return value, lease


async def closed(resource: Managed, lease: Lease | None) -> None:
    """Clean a resource up; suspends only where its ``cleanup`` does."""
    try:
        result = resource.cleanup()
        if inspect.isawaitable(result):
            await result
    except BaseException:  # it may still be open: whoever starts next reaps it
        if lease is not None:
            lease.leave()
        raise
    if lease is not None:
        lease.remove()


async def _closed_after(error: BaseException, resource: Managed, lease: Lease | None) -> None:
    try:
        await closed(resource, lease)
    except Exception as second:  # noqa: BLE001 - the first error is the one to raise
        note_failure(resource, second, error)


def note_failure(resource: object, failed: Exception, first: BaseException) -> None:
    """Log a cleanup that failed after another error, and say so in that error's notes."""
    name = type(resource).__name__
    logger.error("the cleanup of %s failed, after another error", name, exc_info=failed)
    first.add_note(f"The cleanup of {name} failed, too: {type(failed).__name__}: {failed}")


def _leased(resource: Managed) -> Lease | None:
    kind = type(resource)
    if kind.can_reap:
        reap_left_by(kind, kind.reap)
    return _leased_again(resource, None)


def _leased_again(resource: Managed, lease: Lease | None) -> Lease | None:
    kind, handle = type(resource), resource.handle()
    if handle is None or (lease is not None and lease.record.handle == handle):
        return lease
    if not kind.can_reap:
        raise ConfigError(
            f"{kind.__name__} has a handle, but no reap that could use it",
            hint="Write a classmethod reap(cls, handle), or no handle.",
        )
    record = new_record(*class_path(kind), handle)
    if lease is None:
        return Lease(record, lease_folder())
    lease.rewrite(record)
    return lease


def unsuspended(work: Coroutine[Any, Any, T], resource: object) -> T:
    """The result of a coroutine that never waits.

    Raises:
        ConfigError: It waits: what looks like a plain function gave something to await.
    """
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    work.close()
    raise ConfigError(
        f"setup or cleanup of {type(resource).__name__} is a plain function, and what it gives "
        "has to be awaited",
        hint="Write `async def`.",
    )
