"""Workers that have a Nexus service, as an SDK runs them."""

from __future__ import annotations

import asyncio

import nexusrpc.handler
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollNexusTaskQueueRequest, PollNexusTaskQueueResponse
from temporalio.client import Client
from temporalio.worker import Worker

from mockcloud.core.errors import InvalidArgument
from tests.frontend.raw_worker import NS
from tests.support import Site, grpc_address, parked, refusal, unparked


@nexusrpc.handler.service_handler
class Greeter:
    @nexusrpc.handler.sync_operation
    async def greet(self, _: nexusrpc.handler.StartOperationContext, name: str) -> str:
        return f"hello {name}"


async def test_its_polls_are_held_and_it_shuts_down(site: Site) -> None:
    async with grpc_address(site) as address, asyncio.timeout(10):
        client = await Client.connect(address)
        async with Worker(client, task_queue="queue", nexus_service_handlers=[Greeter()]):
            await parked(site)
        await unparked(site)


async def test_a_poll_ends_empty_in_time(site: Site) -> None:
    poll = PollNexusTaskQueueRequest(namespace=NS, task_queue=TaskQueue(name="queue"), identity="worker")

    answer = await asyncio.wait_for(site.call(poll, timeout=2.1), 2.0)

    assert answer == PollNexusTaskQueueResponse()


async def test_a_poll_of_no_queue_is_refused(site: Site) -> None:
    error = await refusal(site.call(PollNexusTaskQueueRequest(namespace=NS)))
    assert isinstance(error, InvalidArgument)
    assert error.message == "taskQueue is not set"
