"""What the dynamic configuration switches off is refused, and the capabilities say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.errordetails.v1 import PermissionDeniedFailure
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.update.v1 import Input, Meta, Request, UpdateRef, WaitPolicy
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    DescribeScheduleRequest,
    ListSchedulesRequest,
    PollWorkflowExecutionUpdateRequest,
    QueryWorkflowRequest,
    UpdateWorkflowExecutionRequest,
)

from mockcloud.core import dynamic_config
from mockcloud.core.errors import Code
from mockcloud.core.limits import Limits
from tests.support import open_sites, refusal

NS = "default"
RUN = WorkflowExecution(workflow_id="w")
UPDATE = UpdateWorkflowExecutionRequest(
    namespace=NS,
    workflow_execution=RUN,
    request=Request(meta=Meta(update_id="u"), input=Input(name="add")),
    wait_policy=WaitPolicy(lifecycle_stage=Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED),
)
UPDATES_OFF = "UpdateWorkflowExecution operation is disabled on this namespace."
SCHEDULES_OFF = "Schedules are disabled on this namespace."


@pytest.mark.parametrize(
    ("key", "value", "request_", "text"),
    [
        ("frontend.enableUpdateWorkflowExecution", False, UPDATE, UPDATES_OFF),
        (
            "frontend.enableUpdateWorkflowExecution",
            False,
            PollWorkflowExecutionUpdateRequest(namespace=NS, update_ref=UpdateRef(workflow_execution=RUN)),
            UPDATES_OFF,
        ),
        (
            "frontend.enableUpdateWorkflowExecutionAsyncAccepted",
            False,
            UPDATE,
            (
                "UpdateWorkflowExecution issued asynchronously and waiting on update accepted is disabled on "
                "this namespace."
            ),
        ),
        ("frontend.enableSchedules", False, ListSchedulesRequest(namespace=NS), SCHEDULES_OFF),
        ("frontend.enableSchedules", False, DescribeScheduleRequest(namespace=NS), SCHEDULES_OFF),
        (
            "system.disallowQuery",
            True,
            QueryWorkflowRequest(namespace=NS, execution=RUN, query=WorkflowQuery(query_type="q")),
            "Namespace is not allowed to query, please contact temporal team to re-enable queries.",
        ),
    ],
)
async def test_what_is_off_is_refused(
    tmp_path: Path, key: str, value: bool, request_: Message, text: str
) -> None:
    limits, _ = dynamic_config.apply(Limits(), {key: value})
    async with open_sites(tmp_path, limits=limits) as sites:
        await sites["A"].register(NS)
        error = await refusal(sites["A"].call(request_))
    assert error is not None
    assert error.message == text
    if key == "system.disallowQuery":
        assert (error.code, error.detail) == (Code.INVALID_ARGUMENT, None)
    else:
        assert (error.code, error.detail) == (Code.PERMISSION_DENIED, PermissionDeniedFailure())


async def test_capabilities_say_what_is_off(tmp_path: Path) -> None:
    keys = ("frontend.enableUpdateWorkflowExecution", "system.enableEagerWorkflowStart")
    limits, _ = dynamic_config.apply(Limits(), dict.fromkeys(keys, False))
    async with open_sites(tmp_path, limits=limits) as sites:
        await sites["A"].register(NS)
        described = await sites["A"].ask(DescribeNamespaceRequest(namespace=NS), DescribeNamespaceResponse)
    told = described.namespace_info.capabilities
    assert (told.sync_update, told.async_update, told.eager_workflow_start) == (False, True, False)
