"""``prefect-etl serve``: the schedules of a pipeline from one long-lived process."""

from __future__ import annotations

from prefect_etl.cli.console import print_lines
from prefect_etl.cli.options import DEFAULT_PIPELINE, PipelineFile, pipeline_path, prepare


def serve(pipeline: PipelineFile = DEFAULT_PIPELINE) -> int:
    """Run a pipeline's schedules from this process, until Ctrl-C; no work pool is needed."""
    path = pipeline_path(pipeline)
    settings = prepare(path)
    from prefect_etl.cli.deploy import print_changes, schedule_lines
    from prefect_etl.orchestration.server import ServerInfo, use_server

    def find_server() -> ServerInfo:
        return use_server(home=settings.home, idle_minutes=settings.server_idle_minutes)

    info = find_server()
    from prefect_etl.deployments.apply import Change
    from prefect_etl.deployments.production import production
    from prefect_etl.deployments.serving import serve as serve_until_stopped

    wanted = production(path, settings)

    def ready(changes: list[Change]) -> None:
        print_changes(changes)
        print_lines(
            "",
            *(schedule_lines(wanted) or ["No schedule: runs start by hand."]),
            "Start one now:",
            f"  PREFECT_API_URL={info.url} prefect deployment run 'etl/{wanted.pipeline}'",
            f"Serving; Ctrl-C stops. Pages: {info.ui_url}/deployments",
        )
        if info.is_local:
            print_lines("This process keeps the local Prefect server alive.")

    try:
        serve_until_stopped(wanted, find_server, ready)
    except KeyboardInterrupt:
        # To be stopped is how this command ends.
        print_lines("Stopped; the schedules are paused until it is served again.")
    return 0
