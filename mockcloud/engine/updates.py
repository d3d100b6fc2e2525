"""Updates: callers that wait for what becomes of theirs.

An update is let in by a rule (`core.updates.admit`); from then on its callers wait here, by run and update id, for
what commits make of it: its stage and outcome are read off the run and its new events. What is only admitted is in
memory. When that is lost (the run left the cache, the region is passive now) a caller whose update was not accepted
asks again by itself, and where that is of no use gets UNAVAILABLE; SDKs then ask again under the same id.

Real: api/updateworkflow, api/pollupdate, update.WaitLifecycleStage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, UpdateWorkflowExecutionLifecycleStage
from temporalio.api.history.v1 import History
from temporalio.api.update.v1 import Outcome, UpdateRef
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    PollWorkflowExecutionUpdateResponse,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times, updates
from mockcloud.core.change import RunChange
from mockcloud.core.errors import DeadlineExceeded, NotFound, ServiceError, Unavailable
from mockcloud.core.limits import Limits
from mockcloud.core.outcome import Batch
from mockcloud.core.run import Run, RunKey
from mockcloud.core.update_state import Refused, Rejected, UpdateEnd, UpdateStage
from mockcloud.engine.answers import Answers
from mockcloud.engine.cache import RunCache
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry

Stage = UpdateWorkflowExecutionLifecycleStage

# How often an update is let in anew when memory was lost. Real: twice by the history service's handler, its
# client and the frontend's handler each.
_ATTEMPTS = 8


class MemoryLostError(Exception):
    """What the caller waits for is no longer in memory. Never an answer to a client."""


@dataclass(frozen=True, slots=True)
class _Status:
    """How far an update has come, and its outcome if it has one."""

    stage: Stage.ValueType
    outcome: Outcome | None = None


@dataclass(slots=True, eq=False)
class Waiter:
    """One caller of one update."""

    run: RunKey
    update_id: str
    wants: Stage.ValueType  # the stage that it waits for
    reached: Stage.ValueType = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED
    done: asyncio.Future[_Status] = field(init=False)
    # Where the outcome is, if it was there before: branch and event id.
    completed_at: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.done = asyncio.get_running_loop().create_future()

    def look(self, run: Run) -> None:
        """See how far the update has come on its run, as committed."""
        folded = run.updates.get(self.update_id)
        stage = UpdateStage.ADMITTED if folded is None else folded.stage
        if folded is not None and stage is UpdateStage.COMPLETED:
            self.completed_at = (run.version_history.branch_id, folded.event_id)
            self.reach(Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED)
        elif not run.open:
            self._run_closed(run, stage)
        elif stage is UpdateStage.ACCEPTED:
            self.reach(Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED)
        else:
            self.reach(self.reached)

    def _run_closed(self, run: Run, stage: UpdateStage) -> None:
        if stage is UpdateStage.ACCEPTED:
            # A caller that knows of the acceptance expects an outcome, and not an error.
            self.complete(Outcome(failure=updates.WORKFLOW_COMPLETED))
        else:
            self.fail(updates.closed(run))

    def reach(self, stage: Stage.ValueType) -> None:
        """The update has come to `stage`."""
        self.reached = max(stage, self.reached)
        if self.reached >= self.wants and not self.done.done():
            self.done.set_result(_Status(self.reached))

    def complete(self, outcome: Outcome) -> None:
        """The update has an outcome."""
        if not self.done.done():
            self.done.set_result(_Status(Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED, outcome))

    def end(self, end: UpdateEnd) -> None:
        """The update has ended without an event."""
        if isinstance(end, Rejected):
            self.complete(Outcome(failure=end.failure))
        elif isinstance(end, Refused):
            self.fail(end.error)
        else:
            self.forget()

    def forget(self) -> None:
        """What was in memory is gone; an acceptance is not."""
        if self.reached >= Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED:
            if not self.done.done():
                self.done.set_result(_Status(self.reached))
        else:
            self.fail(MemoryLostError())

    def fail(self, error: ServiceError | MemoryLostError) -> None:
        """The caller gets an error."""
        if not self.done.done():
            self.done.set_exception(error)


class Caller:
    """One call: it waits from `begin` on, unless it has left before that."""

    def __init__(self, update_id: str, wants: Stage.ValueType, waiting: dict[RunKey, set[Waiter]]) -> None:
        self._update_id = update_id
        self._wants = wants
        self._waiting = waiting
        self._left = False
        self.waiter: Waiter | None = None

    def begin(self, run: Run) -> Waiter:
        """Wait for the update of `run`; called while nothing can happen to the run."""
        waiter = self.waiter = Waiter(run.key, self._update_id, self._wants)
        self._waiting.setdefault(run.key, set()).add(waiter)
        waiter.look(run)
        if self._left:
            self.leave()
        return waiter

    def leave(self) -> None:
        """Wait no more."""
        self._left = True
        waiter = self.waiter
        if waiter is None:
            return
        waiters = self._waiting.get(waiter.run)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._waiting[waiter.run]
        if not waiter.done.cancel() and not waiter.done.cancelled():
            waiter.done.exception()  # looked at, so that asyncio does not complain


class Updates:
    """All callers of updates in a region."""

    def __init__(
        self,
        changes: Changes,
        answers: Answers,
        cache: RunCache,
        namespaces: NamespaceRegistry,
        limits: Limits,
    ) -> None:
        self._changes = changes
        self._answers = answers
        self._cache = cache
        self._limits = limits
        self._waiting: dict[RunKey, set[Waiter]] = {}
        namespaces.listeners.append(self._namespace_changed)

    async def update(
        self, namespace: Namespace, request: UpdateWorkflowExecutionRequest, deadline: float | None
    ) -> UpdateWorkflowExecutionResponse:
        """Update a run; the answer once the stage that is waited for is reached, or the server's time is over.

        `deadline` is the caller's, in the loop's time. `request` has all defaults filled in.

        Raises:
            What `core.updates.admit` raises; NotFound: there is no such run, or it closed before a worker took the
            update on.
            ResourceExhausted: it closed, and another one goes on, which the caller is to ask.
            WorkflowNotReady: the worker's answer to it made its workflow task fail.
            Unavailable: the update was lost: this region is no longer active.
            DeadlineExceeded: the caller's time is over.
        """
        execution, update_id = request.workflow_execution, request.request.meta.update_id
        soft = self._soft_deadline()
        for _ in range(_ATTEMPTS):
            with self.caller(update_id, request.wait_policy.lifecycle_stage) as caller:

                def rule(change: RunChange, caller: Caller = caller) -> Waiter:
                    updates.admit(change, request)
                    return caller.begin(change.run)

                admitted = await self._changes.update(
                    namespace, execution.workflow_id, execution.run_id, rule
                )
                try:
                    return response(admitted, await self.wait(admitted, soft, deadline))
                except MemoryLostError:
                    if not namespace.active:
                        break
        raise lost()

    async def poll(
        self, namespace: Namespace, request: PollWorkflowExecutionUpdateRequest, deadline: float | None
    ) -> PollWorkflowExecutionUpdateResponse:
        """What has become of an update, once the stage that is waited for is reached; else as `update`.

        Raises NotFound: the run has no update of that id, or there is no such run.
        """
        reference = request.update_ref
        execution = reference.workflow_execution

        with self.caller(reference.update_id, request.wait_policy.lifecycle_stage) as caller:

            def look(run: Run) -> Waiter:
                if not updates.is_known(run, reference.update_id):
                    raise NotFound(f"update {go_quoted(reference.update_id)} not found")
                return caller.begin(run)

            waiter = await self._changes.read(namespace, execution.workflow_id, execution.run_id, look)
            try:
                status = await self.wait(waiter, self._soft_deadline(), deadline)
            except MemoryLostError:
                raise lost() from None
        return PollWorkflowExecutionUpdateResponse(
            outcome=status.outcome, stage=status.stage, update_ref=_reference(waiter)
        )

    # For callers who wait

    @contextmanager
    def caller(self, update_id: str, wants: Stage.ValueType) -> Iterator[Caller]:
        """A caller of an update for the length of the block, also where what it began goes on without it."""
        caller = Caller(update_id, wants, self._waiting)
        try:
            yield caller
        finally:
            caller.leave()

    async def wait(self, waiter: Waiter, soft: float, deadline: float | None) -> _Status:
        """What is reached by `soft`, in the loop's time. Errors as `update`, or MemoryLostError."""
        until = soft if deadline is None else min(soft, deadline)
        try:
            async with asyncio.timeout_at(until):
                status = await asyncio.shield(waiter.done)
        except TimeoutError:
            if deadline is not None and deadline <= soft:
                raise DeadlineExceeded("context deadline exceeded") from None
            status = _Status(waiter.reached)
        if status.outcome is None and waiter.completed_at is not None:
            branch_id, event_id = waiter.completed_at
            event = await self._answers.event(waiter.run, branch_id, event_id)
            outcome = event.workflow_execution_update_completed_event_attributes.outcome
            return _Status(Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED, outcome)
        return status

    def _soft_deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._limits.history_long_poll / times.SECOND

    # What happens to updates

    def committed(self, namespace: Namespace, committed: Committed) -> None:
        """Listener of `Changes`."""
        if not self._waiting:
            return
        run = committed.run
        waiters = self._waiting.get(run.key)
        if not waiters:
            return
        outcomes = _outcomes(committed.batches)
        for waiter in tuple(waiters):
            end = committed.update_ends.get(waiter.update_id)
            if end is not None:
                waiter.end(end)
            elif waiter.update_id in outcomes:
                waiter.complete(outcomes[waiter.update_id])
            else:
                waiter.look(run)

    def lost(self, key: RunKey) -> None:
        """What the run had in memory only is gone."""
        for waiter in tuple(self._waiting.get(key, ())):
            waiter.forget()

    def end(self) -> None:
        """The region ends: nobody needs to wait any longer."""
        for key in tuple(self._waiting):
            self.lost(key)

    def _namespace_changed(self, namespace: Namespace, before: NamespaceRecord | None) -> None:
        """A passive region forgets what is in memory only, and its callers ask elsewhere."""
        if namespace.active:
            return
        self._cache.drop_memory(namespace.id)
        for key in tuple(self._waiting):
            if key.namespace_id == namespace.id:
                self.lost(key)


def response(waiter: Waiter, status: _Status) -> UpdateWorkflowExecutionResponse:
    """The answer to an update."""
    return UpdateWorkflowExecutionResponse(
        update_ref=_reference(waiter), outcome=status.outcome, stage=status.stage
    )


def lost() -> Unavailable:
    """Real: AbortedByServerErr."""
    return Unavailable("workflow update was aborted")


def _reference(waiter: Waiter) -> UpdateRef:
    return UpdateRef(
        workflow_execution=WorkflowExecution(workflow_id=waiter.run.workflow_id, run_id=waiter.run.run_id),
        update_id=waiter.update_id,
    )


def _outcomes(batches: Sequence[Batch]) -> Mapping[str, Outcome]:
    """The outcomes among new events, by update id."""
    found = {}
    for batch in batches:
        for event in History.FromString(batch.data).events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
                attributes = event.workflow_execution_update_completed_event_attributes
                found[attributes.meta.update_id] = attributes.outcome
    return found


def go_quoted(text: str) -> str:
    """The text as Go's %q prints it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
