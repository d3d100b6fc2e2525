"""A namespace that is deleted in the active region is gone in both, and its name is free."""

from __future__ import annotations

from functools import partial

import grpc
import pytest
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest
from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest
from temporalio.service import RPCError, RPCStatusCode

from tests.scenarios.stage import EAST, LOCALLY, WEST, Caller, opened, refused, until


async def forgotten(caller: Caller) -> bool:
    """Whether the region knows the namespace no more."""
    try:
        await caller.call(CountWorkflowExecutionsRequest(), metadata=LOCALLY)
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.NOT_FOUND
    return False


async def test_both_regions_forget_a_deleted_namespace() -> None:
    async with opened() as stage:
        # Given a namespace whose workflow has replicated.
        active, passive = await stage.client(EAST), await stage.client(WEST)
        await stage.at(EAST).start("w")
        await stage.settled("w")

        # When the passive region is asked to delete it, then it refuses; the active one does.
        request = DeleteNamespaceRequest(namespace="default")
        with pytest.raises(RPCError, match="is passive in current cluster aws-us-west-2") as caught:
            await passive.operator_service.delete_namespace(request)
        assert caught.value.status == RPCStatusCode.FAILED_PRECONDITION
        await active.operator_service.delete_namespace(request)

        # And both refuse it from then on, under its old name.
        for region in (EAST, WEST):
            caller = stage.at(region)
            await until(partial(forgotten, caller))
            error = await refused(caller.start("again"))
            assert error.details() == "Namespace default is not found."

        # And the name can be taken again.
        namespace = await stage.cloud.create_namespace("default")
        client = await namespace.client()
        assert (await client.count_workflows("")).count == 0
        await client.start_workflow("T", id="w", task_queue="q")
