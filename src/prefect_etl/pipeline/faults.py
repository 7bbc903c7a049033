"""Turns whatever stopped a part of a run into an error that a report can tell."""

from __future__ import annotations

import logging

from prefect_etl.config.secrets import hide_in
from prefect_etl.errors import EtlError, Fatal
from prefect_etl.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)
STOPPED = "stopped before it was over, by a person or a signal"


def told(error: Exception, what: str, workspace: Workspace) -> EtlError:
    """The error as one of ours, without secrets; one that nobody foresaw is logged, too.

    Args:
        error: What stopped the part.
        what: The part, for the log.
        workspace: Whether the run is being stopped as a whole.
    """
    hide_in(error)
    if isinstance(error, EtlError):
        logger.debug("%s failed", what, exc_info=error)
        return error
    if workspace.stopping:
        return Fatal(STOPPED, hint="Run again: it goes on from what the raw zone holds.")
    logger.error("%s failed", what, exc_info=error)
    return Fatal(
        f"{type(error).__name__}: {error}",
        hint="This may be a fault of prefect_etl; the log has more (-v).",
    )
