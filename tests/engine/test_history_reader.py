"""Reading histories: pages, long polls, the close event, and branch switches."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import HistoryEventFilterType
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryReverseRequest,
)

from mockcloud.core.errors import CurrentBranchChanged, InvalidArgument, NotFound
from mockcloud.core.tokens import HistoryPageToken

from .support import Driver, close, running

CLOSE = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT


def request(
    *, wait: bool = False, close_only: bool = False, size: int = 0, token: bytes = b""
) -> GetWorkflowExecutionHistoryRequest:
    return GetWorkflowExecutionHistoryRequest(
        execution=WorkflowExecution(workflow_id="order-1"),
        wait_new_event=wait,
        history_event_filter_type=CLOSE if close_only else HistoryEventFilterType.ValueType(1),
        maximum_page_size=size,
        next_page_token=token,
    )


async def test_pages_together_are_the_history(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        for _ in range(7):
            await driver.signal()
        ids: list[int] = []
        token = b""
        pages = 0
        while True:
            page = await region.history.read(driver.namespace, request(size=3, token=token), 1)
            ids.extend(event.event_id for event in page.history.events)
            pages += 1
            token = page.next_page_token
            if not token:
                break
        assert ids == list(range(1, 10))
        assert pages == 3


async def test_reverse_pages_are_the_history_backwards(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        for _ in range(7):
            await driver.signal()
        ids: list[int] = []
        token = b""
        while True:
            page = await region.history.read_reverse(
                driver.namespace,
                GetWorkflowExecutionHistoryReverseRequest(
                    execution=WorkflowExecution(workflow_id="order-1"),
                    maximum_page_size=4,
                    next_page_token=token,
                ),
            )
            ids.extend(event.event_id for event in page.history.events)
            token = page.next_page_token
            if not token:
                break
        assert ids == list(range(9, 0, -1))


async def test_a_long_poll_waits_for_the_next_event(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        page = await region.history.read(driver.namespace, request(wait=True), 5)
        assert len(page.history.events) == 2
        following = asyncio.ensure_future(
            region.history.read(driver.namespace, request(wait=True, token=page.next_page_token), 5)
        )
        await asyncio.sleep(0)
        await driver.signal()
        page = await following
        assert [event.event_id for event in page.history.events] == [3]
        assert page.next_page_token


async def test_a_long_poll_ends_empty_with_a_token(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        page = await region.history.read(driver.namespace, request(wait=True), 5)
        page = await region.history.read(
            driver.namespace, request(wait=True, token=page.next_page_token), 0.02
        )
        assert not page.history.events
        await driver.signal()
        page = await region.history.read(driver.namespace, request(wait=True, token=page.next_page_token), 5)
        assert [event.event_id for event in page.history.events] == [3]


async def test_waiting_for_the_close_gets_the_close_event_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        page = await region.history.read(driver.namespace, request(wait=True, close_only=True), 0.02)
        assert not page.history.events
        waiting = asyncio.ensure_future(
            region.history.read(
                driver.namespace, request(wait=True, close_only=True, token=page.next_page_token), 5
            )
        )
        await asyncio.sleep(0)
        await driver.complete(await driver.poll(), close())
        page = await waiting
        assert [event.event_id for event in page.history.events] == [5]
        assert not page.next_page_token


async def test_a_token_from_before_a_branch_switch_is_refused_unless_it_waits_for_the_close(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        for _ in range(5):
            await driver.signal()
        page = await region.history.read(driver.namespace, request(size=3), 1)
        other = HistoryPageToken.load(page.next_page_token)._replace(branch_id=7)
        with pytest.raises(CurrentBranchChanged):
            await region.history.read(driver.namespace, request(size=3, token=other.dump()), 1)
        page = await region.history.read(driver.namespace, request(wait=True), 1)
        other = HistoryPageToken.load(page.next_page_token)._replace(item_version=99)
        with pytest.raises(CurrentBranchChanged):
            await region.history.read(driver.namespace, request(wait=True, token=other.dump()), 1)
        page = await region.history.read(
            driver.namespace, request(wait=True, close_only=True, token=other.dump()), 0.02
        )
        assert page.next_page_token


async def test_bad_tokens_and_unknown_runs(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        with pytest.raises(NotFound):
            await region.history.read(driver.namespace, request(), 1)
        await driver.start()
        with pytest.raises(InvalidArgument):
            await region.history.read(driver.namespace, request(token=b"garbled"), 1)
