"""What is known of a Prefect API, and how it is addressed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CLOUD_API = "https://api.prefect.cloud"
CLOUD_UI = "https://app.prefect.cloud"


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A Prefect API that this process may use.

    Args:
        url: The API's address, as ``PREFECT_API_URL`` wants it.
        ui_url: The address of its web pages.
        pid: The process of the local server; None when the API was configured by the user.
        home: The local server's folder; None when the API was configured by the user.

    Example:
        >>> info = ServerInfo("http://127.0.0.1:4200/api", "http://127.0.0.1:4200")
        >>> info.flow_run_url("0b5e")
        'http://127.0.0.1:4200/runs/flow-run/0b5e'
        >>> info.is_local
        False
    """

    url: str
    ui_url: str
    pid: int | None = None
    home: Path | None = None

    @property
    def port(self) -> int:
        """The port of the API's address."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_local(self) -> bool:
        """Whether it is the local server that this package started."""
        return self.pid is not None

    def flow_run_url(self, run_id: object) -> str:
        """The page of a flow run."""
        return f"{self.ui_url}/runs/flow-run/{run_id}"


def configured(url: str) -> ServerInfo:
    """Describe an API that the user configured; the UI's address follows Prefect's own rule.

    Example:
        >>> configured("https://prefect.example.org/api").ui_url
        'https://prefect.example.org'
        >>> configured("https://api.prefect.cloud/api/accounts/a/workspaces/w").ui_url
        'https://app.prefect.cloud/account/a/workspace/w'
    """
    ui_url = url.rstrip("/").replace(CLOUD_API, CLOUD_UI).removesuffix("/api")
    ui_url = ui_url.replace("/api/", "/")
    ui_url = ui_url.replace("/accounts/", "/account/").replace("/workspaces/", "/workspace/")
    return ServerInfo(url=url, ui_url=ui_url)
