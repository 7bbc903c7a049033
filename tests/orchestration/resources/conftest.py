"""Flows that run fast."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings


@pytest.fixture(autouse=True)
def no_heartbeat() -> Iterator[None]:
    """Prefect's heartbeat costs each sync flow a second when it ends."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
