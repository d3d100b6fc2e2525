"""Histories and lists, page by page."""

from __future__ import annotations

import asyncio

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, HistoryEventFilterType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
)

from mockcloud.core.errors import Code
from tests.frontend.raw_worker import COMPLETE, NS, complete, signal, start, take_task
from tests.support import Site, refusal

CLOSE = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT


async def page(
    site: Site, run: WorkflowExecution, token: bytes = b"", timeout: float = 10.0, **fields: object
) -> GetWorkflowExecutionHistoryResponse:
    request = GetWorkflowExecutionHistoryRequest(
        namespace=NS,
        execution=run,
        next_page_token=token,
        **fields,  # type: ignore[arg-type] # its fields
    )
    return await site.ask(request, GetWorkflowExecutionHistoryResponse, timeout=timeout)


async def long_run(site: Site, signals: int = 10) -> WorkflowExecution:
    run = await start(site)
    for number in range(signals):
        await signal(site, run, f"s{number}")
    return run


async def test_pages_forward(site: Site) -> None:
    run = await long_run(site)
    events: list[HistoryEvent] = []
    token = b""
    pages = 0
    while True:
        response = await page(site, run, token, maximum_page_size=5)
        events += response.history.events
        token = response.next_page_token
        pages += 1
        if not token:
            break
    assert [event.event_id for event in events] == list(range(1, 13))
    assert pages == 3


async def test_pages_in_reverse(site: Site) -> None:
    run = await long_run(site)
    events: list[HistoryEvent] = []
    token = b""
    while True:
        response = await site.ask(
            GetWorkflowExecutionHistoryReverseRequest(
                namespace=NS, execution=run, next_page_token=token, maximum_page_size=5
            ),
            GetWorkflowExecutionHistoryReverseResponse,
        )
        assert len(response.history.events) <= 5
        events += response.history.events
        token = response.next_page_token
        if not token:
            break
    assert [event.event_id for event in events] == list(range(12, 0, -1))


async def test_a_long_poll_wakes_at_the_next_event(site: Site) -> None:
    run = await start(site)
    first = await page(site, run, wait_new_event=True)
    assert [event.event_id for event in first.history.events] == [1, 2]
    waiting = asyncio.ensure_future(page(site, run, first.next_page_token, wait_new_event=True))
    await asyncio.sleep(0)

    await signal(site, run)

    more = await asyncio.wait_for(waiting, 5)
    assert [event.event_type for event in more.history.events] == [
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    ]


async def test_a_long_poll_ends_empty_before_its_clients_deadline(site: Site) -> None:
    run = await start(site)
    empty = await page(site, run, timeout=1.2, wait_new_event=True, history_event_filter_type=CLOSE)
    assert not empty.history.events
    assert empty.next_page_token


async def test_waiting_for_the_close(site: Site) -> None:
    run = await start(site)
    waiting = asyncio.ensure_future(page(site, run, wait_new_event=True, history_event_filter_type=CLOSE))
    await complete(site, await take_task(site), COMPLETE)

    response = await asyncio.wait_for(waiting, 5)

    (closing,) = response.history.events
    assert closing.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    assert not response.next_page_token


async def test_a_token_of_another_run(site: Site) -> None:
    run, other = await long_run(site), await start(site, "other")
    token = (await page(site, run, maximum_page_size=5)).next_page_token

    error = await refusal(page(site, other, token))

    assert error is not None
    assert error.code is Code.INVALID_ARGUMENT
    assert error.message == "RunId in the request does not match the NextPageToken."


async def test_lists_page_open_runs_first(site: Site) -> None:
    for name in ("a", "b", "c"):
        await start(site, name)
    await complete(site, await take_task(site), COMPLETE)
    ids: list[str] = []
    token = b""
    while True:
        response = await site.ask(
            ListWorkflowExecutionsRequest(namespace=NS, page_size=2, next_page_token=token),
            ListWorkflowExecutionsResponse,
        )
        ids += [run.execution.workflow_id for run in response.executions]
        token = response.next_page_token
        if not token:
            break
    assert ids == ["c", "b", "a"]
