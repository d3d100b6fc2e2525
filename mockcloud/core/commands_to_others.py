"""Commands that are about another workflow: start a child, signal or cancel an external one.

Each becomes its Initiated event, from which everything else follows: `core.errands` derives what is to be
done, `core.children` and `core.externals` write what became of it. The checks are
`core.command_checks_others`.

Real: api/respondworkflowtaskcompleted/workflow_task_completed_handler.go.
"""

from __future__ import annotations

from collections.abc import Collection

from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    SignalExternalWorkflowExecutionInitiatedEventAttributes,
    StartChildWorkflowExecutionInitiatedEventAttributes,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import command_checks_others
from mockcloud.core.change import RunChange
from mockcloud.core.errors import NamespaceNotFound
from mockcloud.core.messages import copy_set
from mockcloud.core.search_attribute_values import copy_memo_and_search_attributes

_CHILD_FIELDS = (
    "task_queue",
    "header",
    "input",
    "workflow_execution_timeout",
    "workflow_run_timeout",
    "workflow_task_timeout",
    "retry_policy",
    "priority",
)


def start_child(change: RunChange, completed_event_id: int, command: Command) -> str:
    """Write StartChildWorkflowExecutionInitiated; the child's workflow id.

    Raises:
        CommandFailure: the command is bad, or too many children are pending.
        NamespaceNotFound: it names a namespace that does not exist.
    """
    target = _target(change, command.start_child_workflow_execution_command_attributes.namespace)
    attributes = command_checks_others.start_child(change.run, command, change.context, target)
    initiated = StartChildWorkflowExecutionInitiatedEventAttributes(
        namespace=attributes.namespace,
        namespace_id=target.id,
        workflow_id=attributes.workflow_id,
        workflow_type=attributes.workflow_type,
        parent_close_policy=attributes.parent_close_policy,
        control=attributes.control,
        workflow_task_completed_event_id=completed_event_id,
        workflow_id_reuse_policy=attributes.workflow_id_reuse_policy,
        cron_schedule=attributes.cron_schedule,
        inherit_build_id=attributes.inherit_build_id,
    )
    copy_set(attributes, initiated, *_CHILD_FIELDS)
    copy_memo_and_search_attributes(attributes, initiated)
    change.add(
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
        initiated,
        user_metadata=command.user_metadata,
    )
    return attributes.workflow_id


def signal_external(change: RunChange, completed_event_id: int, command: Command) -> None:
    """Write SignalExternalWorkflowExecutionInitiated. Errors as `start_child`."""
    target = _target(change, command.signal_external_workflow_execution_command_attributes.namespace)
    attributes = command_checks_others.signal_external(change.run, command, change.context, target)
    initiated = SignalExternalWorkflowExecutionInitiatedEventAttributes(
        workflow_task_completed_event_id=completed_event_id,
        namespace=attributes.namespace,
        namespace_id=target.id,
        workflow_execution=attributes.execution,
        signal_name=attributes.signal_name,
        control=attributes.control,
        child_workflow_only=attributes.child_workflow_only,
    )
    copy_set(attributes, initiated, "input", "header")
    change.add(
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        initiated,
        user_metadata=command.user_metadata,
    )


def cancel_external(
    change: RunChange, completed_event_id: int, command: Command, just_initiated: Collection[str]
) -> None:
    """Write RequestCancelExternalWorkflowExecutionInitiated. Errors as `start_child`."""
    target = _target(change, command.request_cancel_external_workflow_execution_command_attributes.namespace)
    attributes = command_checks_others.cancel_external(
        change.run, command, change.context, target, just_initiated
    )
    change.add(
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(
            workflow_task_completed_event_id=completed_event_id,
            namespace=attributes.namespace,
            namespace_id=target.id,
            workflow_execution=WorkflowExecution(
                workflow_id=attributes.workflow_id, run_id=attributes.run_id
            ),
            control=attributes.control,
            child_workflow_only=attributes.child_workflow_only,
            reason=attributes.reason,
        ),
        user_metadata=command.user_metadata,
    )


def _target(change: RunChange, name: str) -> NamespaceRecord:
    """The namespace that a command is about; its own if it names none. Raises NamespaceNotFound."""
    context = change.context
    if not name or name == context.namespace.name:
        return context.namespace
    found = context.find_namespace(name)
    if found is None:
        raise NamespaceNotFound(name)
    return found
