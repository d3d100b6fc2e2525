"""A workflow with a bit of everything, failed over at each of its events in turn."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    WorkflowHandle,
)

from mockcloud.cloud.facade import Namespace
from tests.scenarios.everything import EXPECTED, QUEUE, Everything, Result, worker
from tests.scenarios.invariants import check
from tests.scenarios.stage import EAST, WEST, Caller, Stage, short, until

AT_ONCE = 8  # namespaces in which it runs side by side: most of its time is waiting


async def test_a_failover_at_each_event(stage: Stage) -> None:
    """It always completes with the same result, and the regions agree."""
    ready: asyncio.Queue[tuple[Namespace, str]] = asyncio.Queue()
    for number in range(AT_ONCE):
        ready.put_nowait((await stage.cloud.create_namespace(f"ns-{number}"), EAST))
    reference = await once(stage, ready, 0)
    events = reference + 4  # the order differs from run to run, and so does their number a little

    await asyncio.gather(*(once(stage, ready, event_id) for event_id in range(1, events)))


async def once(stage: Stage, ready: asyncio.Queue[tuple[Namespace, str]], at_event: int) -> int:
    """One life, with a failover once it has `at_event` events (0: none); how many events it had."""
    namespace, active = await ready.get()
    client = await namespace.client()
    caller = Caller(namespace.endpoint, namespace.name)
    try:
        async with worker(client):
            workflow_id = await started_by_schedule(client, f"s-{at_event}")
            handle: WorkflowHandle[Everything, Result] = client.get_workflow_handle(
                workflow_id, result_type=Result
            )
            async with asyncio.TaskGroup() as group:
                update = group.create_task(
                    handle.execute_update(Everything.add, 4, id="u", rpc_timeout=timedelta(seconds=30))
                )
                if at_event:
                    target = WEST if active == EAST else EAST
                    group.create_task(fail_over(namespace, caller, workflow_id, at_event, target))
                    active = target
                group.create_task(handle.signal(Everything.say, "word"))
                result = group.create_task(handle.result())
        assert (update.result(), result.result()) == (8, EXPECTED)
        await namespace.replicated()
        history = await namespace.history(workflow_id)
        check(history)
        (run,) = history[active]
        return len(run.events)
    finally:
        await caller.channel.close(None)
        ready.put_nowait((namespace, active))


async def started_by_schedule(client: Client, schedule_id: str) -> str:
    """The workflow that a schedule, triggered once, has started."""
    handle = await client.create_schedule(
        schedule_id,
        Schedule(
            action=ScheduleActionStartWorkflow(Everything.run, id=f"w-{schedule_id}", task_queue=QUEUE),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=300))]),
        ),
        trigger_immediately=True,
    )
    workflow_id = ""

    async def started() -> bool:
        nonlocal workflow_id
        for action in (await handle.describe()).info.recent_actions:
            assert isinstance(action.action, ScheduleActionExecutionStartWorkflow)
            workflow_id = action.action.workflow_id
        return bool(workflow_id)

    await until(started)
    return workflow_id


async def fail_over(
    namespace: Namespace, caller: Caller, workflow_id: str, at_event: int, target: str
) -> None:
    """Fail over as soon as the workflow has `at_event` events; or has closed with fewer."""
    request = GetWorkflowExecutionHistoryRequest(
        execution=WorkflowExecution(workflow_id=workflow_id), wait_new_event=True
    )
    seen = 0
    while seen < at_event:
        answer = await caller.ask(request, GetWorkflowExecutionHistoryResponse, timeout=25)
        if answer.history.events:
            seen = answer.history.events[-1].event_id
            if short(answer.history.events[-1]) == "WORKFLOW_EXECUTION_COMPLETED":
                break
        request.next_page_token = answer.next_page_token
    operation = await namespace.failover(target)
    assert (operation.state, operation.mode) == ("FULFILLED", "graceful"), operation
