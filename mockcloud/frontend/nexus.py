"""What workers with a Nexus service ask for. There are no Nexus tasks yet: their polls are held, and end empty.

Real: workflow_handler.go.
"""

from __future__ import annotations

from typing import Final

from temporalio.api.workflowservice.v1 import PollNexusTaskQueueRequest, PollNexusTaskQueueResponse

from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()


@family.serves(PollNexusTaskQueueRequest)
async def poll_nexus_task_queue(
    scope: Scope, request: PollNexusTaskQueueRequest
) -> PollNexusTaskQueueResponse:
    """Wait for a Nexus task; empty, because none comes."""
    validation.poll_deadline(scope.remaining)
    validation.poll_queue(request.task_queue, scope.limits, present=request.HasField("task_queue"))
    validation.identity(request.identity, scope.limits)
    validation.versioning(request.worker_version_capabilities, request.deployment_options, scope.limits)
    return await scope.region.matching.poll_nexus_task(
        scope.namespace, request, scope.long_poll(scope.limits.task_poll)
    )
