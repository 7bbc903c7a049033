"""What a server watches for: runs of dead processes, and runs that are late or crashed.

Prefect marks a run whose process is gone only where an automation says so. Runs send heartbeats;
the automation waits for the next one, or for the end of the run.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect_etl.deployments.production import Production

if TYPE_CHECKING:
    from prefect.events.schemas.automations import AutomationCore

_HEARTBEAT = "prefect.flow-run.heartbeat"
_RUNNING = "prefect.flow-run.Running"
# After these no heartbeat comes: a run that ended, or waits without a process.
_OVER = frozenset(
    f"prefect.flow-run.{state}"
    for state in (
        *("Completed", "Failed", "TimedOut", "Crashed", "Cancelled", "Cancelling"),
        *("Paused", "Suspended", "AwaitingRetry"),
    )
)


def automations_of(
    production: Production, block: UUID | None = None, pages: str = ""
) -> list[AutomationCore]:
    """The automations of a pipeline.

    Args:
        production: The pipeline's deployments.
        block: The notification block that tells of late and crashed runs; nobody is told if None.
        pages: The address of the server's pages, for links to runs.
    """
    made = []
    if production.crashed_after:
        made.append(_dead(production))
    if block is not None:
        made += [_late(production, block, pages), _crashed(production, block, pages)]
    return made


def _dead(production: Production) -> AutomationCore:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState

    seconds = f"{production.crashed_after:g}"
    return _automation(
        production,
        "runs of dead processes",
        f"Marks runs as crashed that sent no heartbeat for {seconds} seconds.",
        ChangeFlowRunState(
            state=StateType.CRASHED,
            message=f"No heartbeat for {seconds} seconds: the process is gone. Run again; "
            "what was loaded stays loaded, once.",
        ),
        posture="Proactive",
        after={_HEARTBEAT, _RUNNING},
        expect={_HEARTBEAT, *_OVER},
        within=timedelta(seconds=production.crashed_after),
    )


def _late(production: Production, block: UUID, pages: str) -> AutomationCore:
    return _automation(
        production,
        "late runs",
        f"Tells of runs that are late by more than {production.late_after:g} seconds.",
        _tell(block, pages, "is late: does a worker run, and is it idle?"),
        posture="Proactive",
        after={"prefect.flow-run.Late"},
        expect={"prefect.flow-run.Pending", _RUNNING, *_OVER},
        within=timedelta(seconds=production.late_after),
    )


def _crashed(production: Production, block: UUID, pages: str) -> AutomationCore:
    return _automation(
        production,
        "crashed and failed runs",
        "Tells of runs that crashed, failed or took too long.",
        _tell(block, pages, "{{ flow_run.state.name }}: {{ flow_run.state.message }}"),
        posture="Reactive",
        expect={f"prefect.flow-run.{state}" for state in ("Crashed", "Failed", "TimedOut")},
        # Runs inside others, which have no deployment, are told of by the one around them.
        match_related=[
            {
                "prefect.resource.role": "tag",
                "prefect.resource.id": f"prefect.tag.{production.tag}",
            },
            {"prefect.resource.role": "deployment", "prefect.resource.id": "prefect.deployment.*"},
        ],
    )


def _tell(block: UUID, pages: str, what: str) -> Any:
    from prefect.events.actions import SendNotification

    return SendNotification(
        block_document_id=block,
        subject="{{ flow.name }} {{ deployment.name }}",
        body=f"The run {{{{ flow_run.name }}}} of {{{{ deployment.name }}}} {what}\n"
        f"{pages}/runs/flow-run/{{{{ flow_run.id }}}}",
    )


def _automation(
    production: Production, topic: str, description: str, action: Any, **trigger: Any
) -> AutomationCore:
    from prefect.events.schemas.automations import AutomationCore, EventTrigger

    related = {
        "prefect.resource.role": "tag",
        "prefect.resource.id": f"prefect.tag.{production.tag}",
    }
    return AutomationCore(
        name=f"{production.pipeline}: {topic}",
        description=description,
        tags=[production.tag],
        trigger=EventTrigger(
            match={"prefect.resource.id": "prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            threshold=1,
            **{"match_related": related, **trigger},
        ),
        actions=[action],
    )
