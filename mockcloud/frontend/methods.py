"""Every method of the public services as a table row: its messages, who answers, whether HANDOVER holds it.

The table has a row for each method of the descriptors, served or not: handover and redirection act on all
of them by name. A method that is in no set below is forwarded by default and held in HANDOVER.

Real: common/rpc/interceptor, redirection.go, dc_redirection_policy.go, namespace_validator.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, NamedTuple

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.operatorservice.v1 import service_pb2 as operator_service
from temporalio.api.workflowservice.v1 import service_pb2 as workflow_service

WORKFLOW_SERVICE: Final[ServiceDescriptor] = workflow_service.DESCRIPTOR.services_by_name["WorkflowService"]
OPERATOR_SERVICE: Final[ServiceDescriptor] = operator_service.DESCRIPTOR.services_by_name["OperatorService"]


class Routing(Enum):
    """Where the passive region has a call answered."""

    LOCAL = "local"  # always here
    SELECTED = "selected"  # always by the active region
    DEFAULT = "default"  # by the active region, unless the policy is `selected`


class Method(NamedTuple):
    """One method of a service."""

    name: str
    full_name: str
    request_type: type[Message]
    response_type: type[Message]
    has_namespace: bool  # a field `namespace`, in which the call is made
    has_task_token: bool
    routing: Routing
    poll: bool  # one of the three that wait for tasks
    answered_in_handover: bool


_LOCAL: Final = frozenset(
    {
        "DeprecateNamespace",
        "DescribeNamespace",
        "GetClusterInfo",
        "GetSearchAttributes",
        "GetSystemInfo",
        "ListNamespaces",
        "RegisterNamespace",
        "UpdateNamespace",
    }
)

_SELECTED: Final = frozenset(
    {
        "DeleteActivityExecution",
        "DeleteNexusOperationExecution",
        "DeleteWorkflowExecution",
        "ExecuteMultiOperation",
        "PauseActivityExecution",
        "PauseWorkflowExecution",
        "QueryWorkflow",
        "RequestCancelActivityExecution",
        "RequestCancelNexusOperationExecution",
        "RequestCancelWorkflowExecution",
        "ResetActivityExecution",
        "ResetWorkflowExecution",
        "SignalWithStartWorkflowExecution",
        "SignalWorkflowExecution",
        "StartActivityExecution",
        "StartNexusOperationExecution",
        "StartWorkflowExecution",
        "TerminateActivityExecution",
        "TerminateNexusOperationExecution",
        "TerminateWorkflowExecution",
        "UnpauseActivityExecution",
        "UnpauseWorkflowExecution",
        "UpdateActivityExecutionOptions",
        "UpdateWorkflowExecution",
    }
)

_POLLS: Final = frozenset({"PollActivityTaskQueue", "PollNexusTaskQueue", "PollWorkflowTaskQueue"})

_ANSWERED_IN_HANDOVER: Final = _LOCAL | {
    "CountWorkflowExecutions",
    "ListArchivedWorkflowExecutions",
    "ListBatchOperations",
    "ListClosedWorkflowExecutions",
    "ListOpenWorkflowExecutions",
    "ListSchedules",
    "ListTaskQueuePartitions",
    "ListWorkflowExecutions",
    "ScanWorkflowExecutions",
    "ShutdownWorker",
}


def _method(service: ServiceDescriptor, descriptor: MethodDescriptor) -> Method:
    name = descriptor.name
    fields = descriptor.input_type.fields_by_name
    ours = service is WORKFLOW_SERVICE
    return Method(
        name=name,
        full_name=f"/{service.full_name}/{name}",
        request_type=GetMessageClass(descriptor.input_type),
        response_type=GetMessageClass(descriptor.output_type),
        has_namespace=ours and "namespace" in fields,
        has_task_token="task_token" in fields,
        routing=_routing(name) if ours else Routing.LOCAL,
        poll=name in _POLLS,
        answered_in_handover=not ours or name in _ANSWERED_IN_HANDOVER,
    )


def _routing(name: str) -> Routing:
    if name in _LOCAL:
        return Routing.LOCAL
    return Routing.SELECTED if name in _SELECTED else Routing.DEFAULT


def _table(services: Iterable[ServiceDescriptor]) -> Mapping[str, Method]:
    methods = [_method(service, descriptor) for service in services for descriptor in service.methods]
    return {method.full_name: method for method in methods}


SERVICES: Final = (WORKFLOW_SERVICE, OPERATOR_SERVICE)
METHODS: Final = _table(SERVICES)
"""Every method by its full name."""
