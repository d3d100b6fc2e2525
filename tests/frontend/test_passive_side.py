"""What the passive region does with each call: answers it, sends it to the active region, or refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.errordetails.v1 import NamespaceNotActiveFailure
from temporalio.api.replication.v1 import NamespaceReplicationConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkflowExecutionRequest,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    PollActivityTaskQueueRequest,
    PollNexusTaskQueueRequest,
    PollNexusTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RequestCancelWorkflowExecutionRequest,
    ShutdownWorkerRequest,
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    TerminateWorkflowExecutionRequest,
    UpdateNamespaceRequest,
)

from mockcloud.core.errors import Code, NamespaceNotActive, ServiceError, Unavailable
from mockcloud.frontend.methods import METHODS, WORKFLOW_SERVICE, Method, Routing
from mockcloud.frontend.service import SERVED
from mockcloud.frontend.settings import FrontendSettings, PassivePolls, RedirectionPolicy
from mockcloud.rpc.methods import Call
from tests.support import Site, Sites, open_sites, parked, refusal, unparked

NS = "orders"
RUN = WorkflowExecution(workflow_id="w")
LOCAL_ONLY = {"xdc-redirection": "false"}
FORWARDED = {"xdc-redirection-api": "true"}
METHODS_OF_WORKFLOW_SERVICE = [
    method for name, method in METHODS.items() if name.startswith(f"/{WORKFLOW_SERVICE.full_name}/")
]
# Those that take a token refuse the lack of it first.
NOT_BUILT = [
    method
    for method in METHODS_OF_WORKFLOW_SERVICE
    if method.full_name not in SERVED and not method.has_task_token
]
START = StartWorkflowExecutionRequest(
    namespace=NS,
    workflow_id="w",
    workflow_type=WorkflowType(name="T"),
    task_queue=TaskQueue(name="q"),
    request_id="r",
)
POLL = PollWorkflowTaskQueueRequest(namespace=NS, task_queue=TaskQueue(name="q"), identity="worker")


async def shared(sites: Sites, active: str = "A") -> None:
    """Give all regions the namespace, as replication would."""
    await sites[active].register(NS)
    record = sites[active].region.namespaces.by_name(NS).record
    for name, site in sites.items():
        if name != active:
            await site.region.namespaces.receive(record)


async def told(site: Site, source: Site) -> None:
    """Have replication bring the namespace record of `source` to `site`."""
    await site.region.namespaces.receive(source.region.namespaces.by_name(NS).record)


async def failover(site: Site, to: str) -> None:
    await site.call(
        UpdateNamespaceRequest(
            namespace=NS, replication_config=NamespaceReplicationConfig(active_cluster_name=to)
        )
    )


async def by_name(site: Site, method: Method, metadata: dict[str, str] | None = None) -> ServiceError | None:
    """Call a method with hardly more than the namespace; what it was refused with."""
    request = method.request_type()
    if method.has_namespace:
        request = method.request_type(namespace=NS)
    call = Call(
        WORKFLOW_SERVICE.full_name,
        method.name,
        method.full_name,
        request.SerializeToString(),
        metadata or {},
        5.0,
    )
    return await refusal(site.frontend.dispatch(call))


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Sites]:
    """Regions A, active, and B."""
    async with open_sites(tmp_path, ("A", "B")) as both:
        await shared(both)
        yield both


async def test_a_start_at_the_passive_region_is_made_by_the_active_one(sites: Sites) -> None:
    started = await sites["B"].ask(START, StartWorkflowExecutionResponse)

    describe = DescribeWorkflowExecutionRequest(namespace=NS, execution=RUN)
    here = await sites["A"].call(describe, metadata=LOCAL_ONLY)
    assert await sites["B"].call(describe) == here
    with pytest.raises(ServiceError) as caught:
        await sites["B"].call(describe, metadata=LOCAL_ONLY)
    assert caught.value.code is Code.NOT_FOUND
    assert started.started


@pytest.mark.parametrize("method", METHODS_OF_WORKFLOW_SERVICE, ids=lambda method: method.name)
async def test_each_method_over_a_cut_link(sites: Sites, method: Method) -> None:
    """Forwarded ones are unavailable at once, served or not; local ones do not notice."""
    sites.cut("A")

    error = await by_name(sites["B"], method)

    unavailable = isinstance(error, Unavailable)
    assert unavailable is (method.routing is not Routing.LOCAL)


@pytest.mark.parametrize("method", METHODS_OF_WORKFLOW_SERVICE, ids=lambda method: method.name)
async def test_each_method_that_was_forwarded_to_a_region_that_is_not_active(
    sites: Sites, method: Method
) -> None:
    error = await by_name(sites["B"], method, FORWARDED)

    if method.routing is Routing.LOCAL:
        assert not isinstance(error, NamespaceNotActive)
        return
    assert isinstance(error, NamespaceNotActive)
    assert error.detail == NamespaceNotActiveFailure(namespace=NS, current_cluster="B", active_cluster="A")


@pytest.mark.parametrize("method", NOT_BUILT, ids=lambda method: method.name)
async def test_each_method_that_is_not_built_is_named(sites: Sites, method: Method) -> None:
    for metadata in ({}, LOCAL_ONLY):
        error = await by_name(sites["B"], method, metadata)
        assert error is not None
        assert error.code is Code.UNIMPLEMENTED
        assert method.name in error.message


@pytest.mark.parametrize(
    "request_",
    [
        START,
        SignalWithStartWorkflowExecutionRequest(
            namespace=NS,
            workflow_id="w",
            workflow_type=WorkflowType(name="T"),
            task_queue=TaskQueue(name="q"),
            signal_name="s",
        ),
        SignalWorkflowExecutionRequest(namespace=NS, workflow_execution=RUN, signal_name="s"),
        RequestCancelWorkflowExecutionRequest(namespace=NS, workflow_execution=RUN),
        TerminateWorkflowExecutionRequest(namespace=NS, workflow_execution=RUN),
    ],
    ids=lambda request: type(request).__name__,
)
async def test_a_write_with_redirection_off_is_refused(sites: Sites, request_: Message) -> None:
    with pytest.raises(NamespaceNotActive) as caught:
        await sites["B"].call(request_, metadata=LOCAL_ONLY)
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert caught.value.message == (
        f"Namespace: {NS} is active in cluster: A, while current cluster B is a standby cluster."
    )
    assert caught.value.detail == NamespaceNotActiveFailure(
        namespace=NS, current_cluster="B", active_cluster="A"
    )


async def test_a_region_that_does_not_know_of_the_switch_sends_again_once(tmp_path: Path) -> None:
    async with open_sites(tmp_path, ("A", "B", "C")) as sites:
        await shared(sites)
        await failover(sites["B"], "B")
        await told(sites["A"], sites["B"])

        await sites["C"].call(START)  # C still believes in A, which names B

        listed = await sites["B"].ask(
            ListWorkflowExecutionsRequest(namespace=NS), ListWorkflowExecutionsResponse
        )
        assert [run.execution.workflow_id for run in listed.executions] == ["w"]


async def test_regions_that_name_each_other_do_not_loop(sites: Sites) -> None:
    await failover(sites["A"], "B")  # and B is not told

    with pytest.raises(NamespaceNotActive):
        await asyncio.wait_for(sites["B"].call(START), 5)


async def test_a_forwarded_poll_gets_the_task(sites: Sites) -> None:
    await sites["A"].call(START)

    polled = await sites["B"].ask(POLL, PollWorkflowTaskQueueResponse)

    assert polled.workflow_execution.workflow_id == "w"
    queue = DescribeTaskQueueRequest(namespace=NS, task_queue=TaskQueue(name="q"))
    pollers = (await sites["A"].ask(queue, DescribeTaskQueueResponse)).pollers
    assert [poller.identity for poller in pollers] == ["worker"]


async def test_a_client_that_goes_gives_up_its_poll_in_the_other_region(sites: Sites) -> None:
    poll = asyncio.ensure_future(sites["B"].call(POLL, timeout=60))
    await parked(sites["A"])

    poll.cancel()
    await asyncio.wait([poll])

    await unparked(sites["A"])
    await sites["A"].call(START)
    later = await sites["A"].ask(POLL, PollWorkflowTaskQueueResponse)
    assert later.task_token, "the task was not swallowed"


@pytest.mark.parametrize("first", ["A", "B"])
async def test_polls_at_the_switch(sites: Sites, first: str) -> None:
    """Those parked in the old active region end empty, also those sent there; those parked here go on."""
    forwarded = asyncio.ensure_future(sites["B"].call(POLL, timeout=60))
    old = asyncio.ensure_future(sites["A"].call(POLL, timeout=60))
    new = asyncio.ensure_future(sites["B"].call(POLL, timeout=60, metadata=LOCAL_ONLY))
    await parked(sites["A"], 2)
    await parked(sites["B"])

    other = "B" if first == "A" else "A"
    await failover(sites[first], "B")
    await told(sites[other], sites[first])

    empty = PollWorkflowTaskQueueResponse()
    assert await asyncio.wait_for(old, 5) == empty
    assert await asyncio.wait_for(forwarded, 5) == empty
    assert not new.done()
    await sites["B"].call(START)
    served = await asyncio.wait_for(new, 5)
    assert isinstance(served, PollWorkflowTaskQueueResponse)
    assert served.workflow_execution.workflow_id == "w"


@pytest.mark.parametrize("kind", [PollWorkflowTaskQueueRequest, PollNexusTaskQueueRequest])
async def test_a_worker_that_shuts_down_ends_its_polls_wherever_they_wait(
    sites: Sites, kind: type[PollWorkflowTaskQueueRequest | PollNexusTaskQueueRequest]
) -> None:
    poll = kind(namespace=NS, task_queue=TaskQueue(name="q"), identity="worker", worker_instance_key="key")
    there = asyncio.ensure_future(sites["B"].call(poll, timeout=60))
    here = asyncio.ensure_future(sites["B"].call(poll, timeout=60, metadata=LOCAL_ONLY))
    await parked(sites["A"])
    await parked(sites["B"])

    await sites["B"].call(
        ShutdownWorkerRequest(namespace=NS, identity="worker", worker_instance_key="key", task_queue="q")
    )

    assert not (await asyncio.wait_for(there, 5)).ByteSize()
    assert not (await asyncio.wait_for(here, 5)).ByteSize()
    assert not (await asyncio.wait_for(sites["A"].call(poll, timeout=60), 5)).ByteSize(), (
        "one that was on its way"
    )


async def test_a_nexus_poll_ends_at_the_switch(sites: Sites) -> None:
    poll = PollNexusTaskQueueRequest(namespace=NS, task_queue=TaskQueue(name="q"), identity="worker")
    forwarded = asyncio.ensure_future(sites["B"].call(poll, timeout=60))
    await parked(sites["A"])

    await failover(sites["A"], "B")

    assert await asyncio.wait_for(forwarded, 5) == PollNexusTaskQueueResponse()


@pytest.mark.parametrize("policy", list(RedirectionPolicy))
@pytest.mark.parametrize(
    ("request_", "selected"),
    [
        (START, True),
        (DescribeWorkflowExecutionRequest(namespace=NS, execution=RUN), False),
        (ListWorkflowExecutionsRequest(namespace=NS), False),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_the_policy_selected(
    tmp_path: Path, policy: RedirectionPolicy, request_: Message, selected: bool
) -> None:
    async with open_sites(tmp_path, ("A", "B"), settings=FrontendSettings(redirection=policy)) as sites:
        await shared(sites)
        sites.cut("A")
        error = await refusal(sites["B"].call(request_))
        unavailable = isinstance(error, Unavailable)
        assert unavailable is (selected or policy is RedirectionPolicy.ALL)


async def test_passive_polls_that_are_refused(tmp_path: Path) -> None:
    settings = FrontendSettings(passive_polls=PassivePolls.ERROR)
    async with open_sites(tmp_path, ("A", "B"), settings=settings) as sites:
        await shared(sites)
        for poll in (POLL, PollActivityTaskQueueRequest(namespace=NS, task_queue=TaskQueue(name="q"))):
            with pytest.raises(NamespaceNotActive):
                await sites["B"].call(poll)


async def test_passive_polls_that_are_held(tmp_path: Path) -> None:
    settings = FrontendSettings(passive_polls=PassivePolls.HOLD)
    async with open_sites(tmp_path, ("A", "B"), settings=settings) as sites:
        await shared(sites)
        await sites["A"].call(START)
        poll = asyncio.ensure_future(sites["B"].call(POLL, timeout=60))
        await parked(sites["B"])

        await failover(sites["B"], "B")
        await sites["B"].call(START)

        served = await asyncio.wait_for(poll, 5)
        assert isinstance(served, PollWorkflowTaskQueueResponse)
        assert served.task_token
