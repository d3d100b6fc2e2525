"""Reading histories page by page: forward with long poll and close-event filter, and reverse.

A page token names the branch on which the read began. When the run has switched branches since, the rest of
that read would be of another history: CurrentBranchChanged. Only a wait for the close event goes on: it is
asked of the run.

Real: service/history/api/getworkflowexecutionhistory, getworkflowexecutionhistoryreverse,
get_workflow_util.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import HistoryEventFilterType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
)

from mockcloud.core import version_history
from mockcloud.core.errors import CurrentBranchChanged
from mockcloud.core.limits import Limits
from mockcloud.core.outcome import Batch
from mockcloud.core.run import Run, RunKey
from mockcloud.core.task_start import transient_events
from mockcloud.core.tokens import HistoryPageToken
from mockcloud.core.version_history import Item
from mockcloud.engine.cache import RunCache
from mockcloud.engine.changes import Changes
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.watch import Watch
from mockcloud.store import history
from mockcloud.store.database import Store

_NEVER = 1 << 62  # an event id that no run reaches: wait for the close


@dataclass(frozen=True, slots=True)
class _State:
    """What a read needs to know of a run."""

    key: RunKey
    branch_id: int
    next_event_id: int
    running: bool
    paused: bool
    items: Sequence[Item]
    transient: Sequence[HistoryEvent]


class HistoryReader:
    """Reads of histories in one region."""

    def __init__(self, changes: Changes, cache: RunCache, store: Store, watch: Watch, limits: Limits) -> None:
        self._changes = changes
        self._cache = cache
        self._store = store
        self._watch = watch
        self._limits = limits

    async def read(
        self,
        namespace: Namespace,
        request: GetWorkflowExecutionHistoryRequest,
        timeout: float,
        *,
        transient: bool = True,
    ) -> GetWorkflowExecutionHistoryResponse:
        """One page.

        A long poll waits for at most `timeout` seconds and then gives an empty page with a token.

        `transient`: the last page shows the events of a transient workflow task, which SDKs expect and UIs do
        not.

        Raises:
            NotFound: no such run.
            InvalidArgument: the page token is not one of ours or of another run.
            CurrentBranchChanged: the run has switched branches since the token was given.
        """
        workflow_id, run_id = request.execution.workflow_id, request.execution.run_id
        deadline = asyncio.get_running_loop().time() + timeout
        close_only = (
            request.history_event_filter_type == HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT
        )
        if request.next_page_token:
            token = HistoryPageToken.load(request.next_page_token, run_id)
            at_end = token.next_event_id >= token.end_event_id
            if at_end and request.wait_new_event and token.running:
                expected = _NEVER if close_only else token.next_event_id
                state = await self._wait(
                    namespace,
                    workflow_id,
                    token.run_id,
                    expected,
                    deadline,
                    _item(token),
                    close_only=close_only,
                )
                token = _token(state, token.next_event_id)
            else:
                state = await self._state(namespace, workflow_id, token.run_id)
                if state.branch_id != token.branch_id:
                    raise CurrentBranchChanged
        else:
            expected = _NEVER if close_only else 1
            state = await self._wait(
                namespace, workflow_id, run_id, expected, deadline, None, close_only=close_only
            )
            token = _token(state, 1)
        if close_only:
            return await self._close_page(state, token, request)
        return await self._page(namespace, state, token, request, transient=transient)

    async def _close_page(
        self, state: _State, token: HistoryPageToken, request: GetWorkflowExecutionHistoryRequest
    ) -> GetWorkflowExecutionHistoryResponse:
        response = GetWorkflowExecutionHistoryResponse()
        response.history.SetInParent()
        # A reader that does not wait gets the last event of a paused run, too, as if it were its end; one that does
        # wait gets it from the real server as well, and must take the run for closed. Here it waits on.
        if not state.running or (state.paused and not request.wait_new_event):
            end = state.next_event_id
            (batch,) = await self._batches(state.key, state.branch_id, end - 1, end, None)
            response.history.events.append(History.FromString(batch.data).events[-1])
        elif request.wait_new_event:
            response.next_page_token = token._replace(next_event_id=token.end_event_id).dump()
        return response

    async def _page(
        self,
        namespace: Namespace,
        state: _State,
        token: HistoryPageToken,
        request: GetWorkflowExecutionHistoryRequest,
        *,
        transient: bool,
    ) -> GetWorkflowExecutionHistoryResponse:
        response = GetWorkflowExecutionHistoryResponse()
        events = response.history
        events.SetInParent()
        first, end = token.next_event_id, token.end_event_id
        if first >= end:
            if state.running:
                response.next_page_token = token.dump()
            return response
        size = self._page_size(request.maximum_page_size)
        after = await self._add(events, state.key, token.branch_id, first, end, size)
        if after < end:
            response.next_page_token = token._replace(next_event_id=after).dump()
            return response
        # The last page: what was committed since its first one belongs to it.
        fresh = await self._state(namespace, request.execution.workflow_id, token.run_id)
        if fresh.branch_id != token.branch_id:
            raise CurrentBranchChanged
        if fresh.next_event_id > end:
            await self._add(events, state.key, token.branch_id, end, fresh.next_event_id, None)
        if transient and fresh.running:
            events.events.extend(fresh.transient)
        if fresh.running and request.wait_new_event:
            response.next_page_token = _token(fresh, fresh.next_event_id).dump()
        return response

    async def read_reverse(
        self, namespace: Namespace, request: GetWorkflowExecutionHistoryReverseRequest
    ) -> GetWorkflowExecutionHistoryReverseResponse:
        """One page, newest event first. Errors as `read`."""
        workflow_id, run_id = request.execution.workflow_id, request.execution.run_id
        if request.next_page_token:
            token = HistoryPageToken.load(request.next_page_token, run_id, reverse=True)
            state = await self._state(namespace, workflow_id, token.run_id)
            if state.branch_id != token.branch_id:
                raise CurrentBranchChanged
            last = token.next_event_id
        else:
            state = await self._state(namespace, workflow_id, run_id)
            last = state.next_event_id - 1
        size = self._page_size(request.maximum_page_size)
        batches = await self._store.read(
            lambda connection: history.read_branch_reverse(
                connection, state.branch_id, 1, last + 1, max_events=size
            )
        )
        response = GetWorkflowExecutionHistoryReverseResponse()
        response.history.SetInParent()
        for batch in batches:
            response.history.events.extend(reversed(History.FromString(batch.data).events))
        before = batches[-1].first_event_id - 1
        if before >= 1:
            response.next_page_token = HistoryPageToken(
                run_id=state.key.run_id, next_event_id=before, branch_id=state.branch_id, reverse=True
            ).dump()
        return response

    async def _state(self, namespace: Namespace, workflow_id: str, run_id: str) -> _State:
        return await self._changes.read(namespace, workflow_id, run_id, _look)

    async def _wait(
        self,
        namespace: Namespace,
        workflow_id: str,
        run_id: str,
        expected_next_event_id: int,
        deadline: float,
        item: Item | None,
        *,
        close_only: bool,
    ) -> _State:
        """The run once it has event `expected_next_event_id` or is closed, or as it is at `deadline`."""
        state = await self._state(namespace, workflow_id, run_id)
        item = item or state.items[-1]
        if (done := _arrived(state, expected_next_event_id, None if close_only else item)) is not None:
            return done
        with self._watch.watching(state.key, close_only=close_only) as watcher:
            while True:
                state = await self._state(namespace, workflow_id, state.key.run_id)
                done = _arrived(state, expected_next_event_id, None if close_only else item)
                if done is not None:
                    return done
                if not await watcher.wait(deadline):
                    return state

    async def _add(
        self, to: History, key: RunKey, branch_id: int, first: int, end: int, size: int | None
    ) -> int:
        """Append events of [first, end) to `to`, whole batches of `size` events at most.

        What to go on with.
        """
        for batch in (batches := await self._batches(key, branch_id, first, end, size)):
            to.MergeFromString(batch.data)
        while to.events[0].event_id < first:
            del to.events[0]
        return batches[-1].last_event_id + 1

    async def _batches(
        self, key: RunKey, branch_id: int, first: int, end: int, size: int | None
    ) -> list[Batch]:
        entry = self._cache.get(key)
        if entry is not None and (size is None or end - first <= size):
            batches = entry.tail.covering(branch_id, first, end)
            if batches is not None:
                return batches
        return await self._changes.loader.read_branch(branch_id, first, end, size)

    def _page_size(self, wanted: int) -> int:
        longest = self._limits.history_page
        return wanted if 0 < wanted < longest else longest


def _arrived(state: _State, expected_next_event_id: int, item: Item | None) -> _State | None:
    if item is not None and not version_history.contains(state.items, item):
        raise CurrentBranchChanged
    return state if expected_next_event_id < state.next_event_id or not state.running else None


def _look(run: Run) -> _State:
    return _State(
        key=run.key,
        branch_id=run.version_history.branch_id,
        next_event_id=run.next_event_id,
        running=run.open,
        paused=run.paused,
        items=version_history.items(run.version_history),
        transient=transient_events(run) if run.open else (),
    )


def _token(state: _State, next_event_id: int) -> HistoryPageToken:
    last = state.items[-1]
    return HistoryPageToken(
        run_id=state.key.run_id,
        next_event_id=next_event_id,
        end_event_id=state.next_event_id,
        running=state.running,
        branch_id=state.branch_id,
        item_event_id=last.event_id,
        item_version=last.version,
    )


def _item(token: HistoryPageToken) -> Item:
    return Item(token.item_event_id, token.item_version)
