"""The shared local Prefect server: found, started once, pointed at, stopped.

Nothing here imports Prefect before :func:`use_server` has to: finding a running server takes a
few milliseconds.
"""

from prefect_etl.orchestration.server.info import ServerInfo
from prefect_etl.orchestration.server.lifecycle import ensure_server, server_status, stop_server
from prefect_etl.orchestration.server.use import use_server

__all__ = ["ServerInfo", "ensure_server", "server_status", "stop_server", "use_server"]
