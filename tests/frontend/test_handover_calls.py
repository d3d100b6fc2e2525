"""Every call in HANDOVER, by name: answered, or held until the switch and then made in the new region."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import ReplicationState
from temporalio.api.replication.v1 import NamespaceReplicationConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    UpdateNamespaceRequest,
)

from mockcloud.core.errors import Code, NamespaceHandover, ServiceError
from mockcloud.frontend.methods import METHODS, WORKFLOW_SERVICE, Method
from mockcloud.frontend.settings import FrontendSettings, HandoverPolicy
from mockcloud.rpc.methods import Call
from tests.support import Site, Sites, open_sites, parked, refusal

NS = "orders"
REJECT = FrontendSettings(handover=HandoverPolicy.REJECT)
METHODS_OF_WORKFLOW_SERVICE = [
    method for name, method in METHODS.items() if name.startswith(f"/{WORKFLOW_SERVICE.full_name}/")
]
START = StartWorkflowExecutionRequest(
    namespace=NS,
    workflow_id="w",
    workflow_type=WorkflowType(name="T"),
    task_queue=TaskQueue(name="q"),
    request_id="r",
)
POLL = PollWorkflowTaskQueueRequest(namespace=NS, task_queue=TaskQueue(name="q"))


async def replicate(sites: Sites, source: str, to: str) -> None:
    await sites[to].region.namespaces.receive(sites[source].region.namespaces.by_name(NS).record)


async def update(site: Site, **config: object) -> None:
    await site.call(
        UpdateNamespaceRequest(
            namespace=NS,
            replication_config=NamespaceReplicationConfig(**config),  # type: ignore[arg-type] # its fields
        )
    )


async def enter_handover(site: Site) -> None:
    await update(site, state=ReplicationState.REPLICATION_STATE_HANDOVER)


async def leave_handover(site: Site) -> None:
    await update(site, state=ReplicationState.REPLICATION_STATE_NORMAL)


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Sites]:
    """Regions A, active, and B."""
    async with open_sites(tmp_path, ("A", "B")) as both:
        await both["A"].register(NS)
        await replicate(both, "A", "B")
        yield both


@pytest.mark.parametrize("method", METHODS_OF_WORKFLOW_SERVICE, ids=lambda method: method.name)
async def test_each_method_with_the_setting_reject(tmp_path: Path, method: Method) -> None:
    async with open_sites(tmp_path, ("A", "B"), settings=REJECT) as sites:
        await sites["A"].register(NS)
        await enter_handover(sites["A"])
        request = method.request_type()
        if method.has_namespace:
            request = method.request_type(namespace=NS)
        service = WORKFLOW_SERVICE.full_name
        call = Call(service, method.name, method.full_name, request.SerializeToString(), {}, 5.0)
        error = await refusal(sites["A"].frontend.dispatch(call))
        refused = isinstance(error, NamespaceHandover)
        assert refused is not method.answered_in_handover
        if error is not None and refused:
            assert error.code is Code.UNAVAILABLE
            assert error.message == "Namespace replication in Handover state."
            assert error.detail is None


async def test_a_held_start_is_made_by_the_new_active_region(sites: Sites) -> None:
    await enter_handover(sites["A"])
    held = asyncio.ensure_future(sites["A"].call(START, timeout=60))
    await asyncio.sleep(0)

    await update(sites["B"], active_cluster_name="B")
    assert not held.done()
    await replicate(sites, "B", "A")

    response = await asyncio.wait_for(held, 5)
    assert isinstance(response, StartWorkflowExecutionResponse)
    describe = DescribeWorkflowExecutionRequest(
        namespace=NS, execution=WorkflowExecution(workflow_id="w", run_id=response.run_id)
    )
    await sites["B"].call(describe, metadata={"xdc-redirection": "false"})


async def test_a_call_forwarded_into_handover_comes_back_at_the_switch(sites: Sites) -> None:
    """B, which is passive, sends it to A, where it is held; at the switch A refuses and B makes it itself."""
    await enter_handover(sites["A"])
    held = asyncio.ensure_future(sites["B"].call(START, timeout=60))
    await asyncio.sleep(0)

    await update(sites["B"], active_cluster_name="B")
    await replicate(sites, "B", "A")

    await asyncio.wait_for(held, 5)


async def test_a_handover_that_is_given_up_lets_the_calls_go_on_here(sites: Sites) -> None:
    await enter_handover(sites["A"])
    held = asyncio.ensure_future(sites["A"].call(START, timeout=60))
    await asyncio.sleep(0)

    await leave_handover(sites["A"])

    await asyncio.wait_for(held, 5)


async def test_a_held_call_is_refused_before_its_deadline(sites: Sites) -> None:
    await enter_handover(sites["A"])
    signal = SignalWorkflowExecutionRequest(
        namespace=NS, workflow_execution=WorkflowExecution(workflow_id="w"), signal_name="s"
    )
    with pytest.raises(NamespaceHandover):
        await sites["A"].call(signal, timeout=0.2)
    with pytest.raises(ServiceError) as caught:
        await sites["B"].call(signal, timeout=0.2)
    assert caught.value.message == "Namespace replication in Handover state."


async def test_a_poll_parked_before_handover_is_ended_by_the_switch_only(sites: Sites) -> None:
    poll = asyncio.ensure_future(sites["A"].call(POLL, timeout=60))
    await parked(sites["A"])

    await enter_handover(sites["A"])
    assert not poll.done()
    await update(sites["B"], active_cluster_name="B")
    await replicate(sites, "B", "A")

    assert await asyncio.wait_for(poll, 5) == PollWorkflowTaskQueueResponse()


async def test_the_higher_failover_version_clears_handover(sites: Sites) -> None:
    """A switch issued at the other region ends it (the recorded version stayed in it for ever)."""
    await enter_handover(sites["A"])
    await update(sites["B"], active_cluster_name="B")
    await replicate(sites, "B", "A")

    namespace = sites["A"].region.namespaces.by_name(NS)
    assert not namespace.handover
    assert namespace.record.active_cluster == "B"


async def test_handover_needs_somewhere_to_go(tmp_path: Path) -> None:
    async with open_sites(tmp_path, ("A",)) as sites:
        await sites["A"].register(NS)
        with pytest.raises(ServiceError) as caught:
            await enter_handover(sites["A"])
        assert caught.value.code is Code.INVALID_ARGUMENT
