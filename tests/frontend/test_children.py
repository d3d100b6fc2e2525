"""Child workflows, with an unmodified SDK client and worker against one region."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from tests.frontend.child_workflows import WORKFLOWS, Parent
from tests.support import Site, grpc_address

QUEUE = "queue"


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


@pytest.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    async with Worker(client, task_queue=QUEUE, workflows=WORKFLOWS) as worker:
        yield worker


async def event_types(handle: WorkflowHandle[Any, Any]) -> list[str]:
    return [
        EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        async for event in handle.fetch_history_events()
    ]


@pytest.mark.parametrize(
    ("end", "timeout", "result", "event"),
    [
        ("return", None, "child c", "COMPLETED"),
        ("continue", None, "child c", "COMPLETED"),
        ("fail", None, "ChildWorkflowError: ApplicationError", "FAILED"),
        ("wait", 0.2, "ChildWorkflowError: TimeoutError", "TIMED_OUT"),
    ],
)
async def test_a_parent_hears_of_its_childs_end(
    client: Client, worker: Worker, end: str, timeout: float | None, result: str, event: str
) -> None:
    handle = await client.start_workflow(Parent.run, args=[end, "c", timeout], id="p", task_queue=QUEUE)

    assert await handle.result() == result
    types = await event_types(handle)
    initiated = types.index("START_CHILD_WORKFLOW_EXECUTION_INITIATED")
    assert types[initiated + 1] == "CHILD_WORKFLOW_EXECUTION_STARTED"
    assert f"CHILD_WORKFLOW_EXECUTION_{event}" in types
