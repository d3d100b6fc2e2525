"""A worker completes or fails its workflow task.

The rule, the queries that came with it, and what it gets back.

Real: service/history/api/respondworkflowtaskcompleted, respondworkflowtaskfailed.
"""

from __future__ import annotations

from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import (
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    RespondWorkflowTaskFailedRequest,
)

from mockcloud.core.change import RunChange
from mockcloud.core.ports import Ports
from mockcloud.core.run import RunKey
from mockcloud.core.task_completion import Completion, complete_workflow_task, start_speculative_task
from mockcloud.core.tokens import TaskToken
from mockcloud.core.workflow_task import fail_workflow_task
from mockcloud.engine.answers import Answers
from mockcloud.engine.changes import Changes
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.queries import Queries


class WorkflowTasks:
    """What workers answer to workflow tasks."""

    def __init__(self, changes: Changes, queries: Queries, answers: Answers, ports: Ports) -> None:
        self._changes = changes
        self._queries = queries
        self._answers = answers
        self._ports = ports

    async def complete(
        self, namespace: Namespace, token: TaskToken, request: RespondWorkflowTaskCompletedRequest
    ) -> RespondWorkflowTaskCompletedResponse:
        """Do what a worker's commands say; its next workflow task and eager activities in the answer.

        Raises:
            NotFound: the token is stale.
            InvalidArgument: bad commands failed the task.
        """
        attached: dict[str, WorkflowQuery] = {}
        key = RunKey(namespace.id, token.workflow_id, token.run_id)

        def rule(change: RunChange) -> Completion:
            completion = complete_workflow_task(change, token, request, self._ports.ids.run_id)
            self._queries.keep_results(key, request.query_results)
            if completion.new_task is not None:
                attach()
            return completion

        def afterwards(change: RunChange, completion: Completion) -> Completion:
            if completion.error is not None or not completion.speculative_next:
                return completion
            new_task = start_speculative_task(change, request)
            if new_task is not None:
                attach()
            return completion._replace(new_task=new_task)

        def attach() -> None:
            waiting = self._queries.attached(key).items()
            attached.update({name: query for name, query in waiting if name not in request.query_results})

        try:
            completion = await self._changes.update(
                namespace, token.workflow_id, token.run_id, rule, afterwards=afterwards
            )
        except BaseException:
            self._queries.drop_results(key)
            raise
        if completion.error is not None:
            raise completion.error
        response = RespondWorkflowTaskCompletedResponse(
            activity_tasks=[started.response for started in completion.activity_tasks],
            reset_history_event_id=completion.reset_history_event_id,
        )
        if completion.new_task is not None:
            response.workflow_task.CopyFrom(
                await self._answers.workflow_task(completion.new_task, attached, 0)
            )
        return response

    async def fail(
        self, namespace: Namespace, token: TaskToken, request: RespondWorkflowTaskFailedRequest
    ) -> None:
        """End a worker's task as failed; a further attempt follows. Raises NotFound: the token is stale."""
        await self._changes.update(
            namespace,
            token.workflow_id,
            token.run_id,
            lambda change: fail_workflow_task(change, token, request),
        )
