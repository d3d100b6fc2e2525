"""Update-with-start: an update of a workflow that is started for it if need be, both in one commit.

The workflow's open run gets the update where it may: the very start made it, it has the update, or the conflict policy
is USE_EXISTING. An update that has completed on the current run, open or closed, is answered from there. In all other
cases the policies decide on a start, as for any other.

Real: service/history/api/multioperation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from temporalio.api.common.v1 import Link
from temporalio.api.enums.v1 import EventType, WorkflowIdConflictPolicy
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    UpdateWorkflowExecutionRequest,
)

from mockcloud.core import times, updates
from mockcloud.core.change import RunChange
from mockcloud.core.errors import (
    Aborted,
    Internal,
    MultiOperationAborted,
    MultiOperationExecution,
    NamespaceHandover,
    NamespaceNotActive,
    ServiceError,
    Unavailable,
)
from mockcloud.core.limits import Limits
from mockcloud.core.run import Run
from mockcloud.core.update_state import UpdateStage
from mockcloud.engine.changes import Changes, StartReply
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.updates import MemoryLostError, Updates, lost, response

# How often the whole is tried when the server itself was in the way. Real: as in `engine.updates`.
_ATTEMPTS = 8
_RETRIED = (Internal, Unavailable)
_USE_EXISTING = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
_Response = ExecuteMultiOperationResponse.Response


class _UpdateError(Exception):
    """It was the update that failed, and not the start."""

    def __init__(self, error: ServiceError) -> None:
        super().__init__(error)
        self.error = error


class UpdateWithStart:
    """Starts and updates, for one region."""

    def __init__(self, changes: Changes, updates: Updates, limits: Limits) -> None:
        self._changes = changes
        self._updates = updates
        self._limits = limits

    async def execute(
        self,
        namespace: Namespace,
        start: StartWorkflowExecutionRequest,
        update: UpdateWorkflowExecutionRequest,
        deadline: float | None,
    ) -> ExecuteMultiOperationResponse:
        """Both answers, once the stage of the update that is waited for is reached; errors are those of each.

        A run that closes under the update makes this begin anew, once; after that the caller is to try again.

        Raises:
            MultiOperationExecution: with the error of the start or of the update.
            NamespaceNotActive, NamespaceHandover: the fence, see `Namespace.require_writable`.
        """
        soft = asyncio.get_running_loop().time() + self._limits.history_long_poll / times.SECOND
        run_closed = False
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._execute(namespace, start, update, soft, deadline)
            except MultiOperationExecution as error:
                if _closed_under_it(error):
                    if run_closed:
                        raise MultiOperationExecution([error.errors[0], _to_be_retried(error)]) from None
                    run_closed = True
                elif attempt == _ATTEMPTS or not namespace.active or not _is_retried(error):
                    raise
        raise AssertionError("the last attempt answers or raises")

    async def _execute(
        self,
        namespace: Namespace,
        start: StartWorkflowExecutionRequest,
        update: UpdateWorkflowExecutionRequest,
        soft: float,
        deadline: float | None,
    ) -> ExecuteMultiOperationResponse:
        update_id = update.request.meta.update_id

        def joins(run: Run) -> bool:
            folded = run.updates.get(update_id)
            if folded is not None and folded.stage is UpdateStage.COMPLETED:
                return True
            return run.open and (
                start.request_id == run.record.create_request_id
                or updates.is_known(run, update_id)
                or start.workflow_id_conflict_policy == _USE_EXISTING
            )

        with self._updates.caller(update_id, update.wait_policy.lifecycle_stage) as caller:

            def rule(change: RunChange) -> None:
                try:
                    updates.admit(change, update)
                except ServiceError as error:
                    raise _UpdateError(error) from None
                caller.begin(change.run)

            started = await self._start(namespace, start, joins, rule)
            waiter = caller.waiter
            assert waiter is not None, "the update was let in"
            completed = waiter.completed_at is not None
            try:
                status = await self._updates.wait(waiter, soft, deadline)
            except MemoryLostError:
                raise _failed(started, lost()) from None
            except ServiceError as error:
                raise _failed(started, error) from None
            return ExecuteMultiOperationResponse(
                responses=[
                    _Response(start_workflow=_start_response(namespace, start, started, completed=completed)),
                    _Response(update_workflow=response(waiter, status)),
                ]
            )

    async def _start(
        self,
        namespace: Namespace,
        start: StartWorkflowExecutionRequest,
        joins: Callable[[Run], bool],
        rule: Callable[[RunChange], None],
    ) -> StartReply:
        try:
            return await self._changes.start_or_join(namespace, start, joins, rule)
        except (NamespaceNotActive, NamespaceHandover):
            raise
        except _UpdateError as refused:
            raise MultiOperationExecution([MultiOperationAborted(), refused.error]) from None
        except ServiceError as error:
            raise MultiOperationExecution([error, MultiOperationAborted()]) from None


def _failed(started: StartReply, error: ServiceError) -> MultiOperationExecution:
    """The update failed; a start that was carried out stays so."""
    return MultiOperationExecution([None if started.started else MultiOperationAborted(), error])


def _closed_under_it(error: MultiOperationExecution) -> bool:
    """Whether an open run that was joined closed before a worker took the update on."""
    start, update = error.errors
    return start is not None and update is not None and update.message == updates.aborted_by_close().message


def _to_be_retried(error: MultiOperationExecution) -> Aborted:
    update = error.errors[1]
    assert update is not None, "the update failed"
    return Aborted(update.message)


def _is_retried(error: MultiOperationExecution) -> bool:
    return any(isinstance(each, _RETRIED) for each in error.errors)


def _start_response(
    namespace: Namespace, start: StartWorkflowExecutionRequest, started: StartReply, *, completed: bool
) -> StartWorkflowExecutionResponse:
    answer = StartWorkflowExecutionResponse(
        run_id=started.run_id, started=started.started, status=started.status
    )
    if completed:
        return answer  # nothing of the start was looked at
    link = Link.WorkflowEvent(workflow_id=start.workflow_id, run_id=started.run_id)
    if started.started:
        link.namespace = namespace.name
    link.event_ref.event_id = 1
    link.event_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    answer.link.workflow_event.CopyFrom(link)
    return answer
