"""The namespace that a call is about: by its name, or by its task token where it has one.

Real: common/rpc/interceptor/namespace_validator.go. The order of the checks is the real one, because the
first one that fails is the answer: name, then (after handover and redirection) token, match of both, state.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from temporalio.api.enums.v1 import NamespaceState
from temporalio.api.errordetails.v1 import NamespaceInvalidStateFailure
from temporalio.api.workflowservice.v1 import RespondQueryTaskCompletedRequest

from mockcloud.core.errors import FailedPrecondition, InvalidArgument, NamespaceNotFound
from mockcloud.core.tokens import QueryToken, TaskToken
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.frontend.methods import Method

_LOOKS_ITSELF: Final = frozenset({"RegisterNamespace", "DescribeNamespace"})  # not yet there; also by id
_ONLY_REGISTERED: Final = frozenset({"StartWorkflowExecution", "SignalWithStartWorkflowExecution"})


def name_of(method: Method, request: Message, registry: NamespaceRegistry) -> str:
    """The namespace's name in the request, without its account; where that is empty, the task token's.

    The request then has this name, too.

    Raises InvalidArgument for a token that is needed and is none, NamespaceNotFound for one of nowhere.
    """
    if not method.has_namespace:
        return ""
    name: str = getattr(request, "namespace")  # noqa: B009 - the message's type is only known by its descriptor
    if not name and method.has_task_token:
        name = _of_token(request, registry).name
        setattr(request, "namespace", name)  # noqa: B010
    elif (
        method.name not in _LOOKS_ITSELF and (found := registry.find(name)) is not None and found.name != name
    ):
        name = found.name
        setattr(request, "namespace", name)  # noqa: B010
    return name


def find(method: Method, name: str, registry: NamespaceRegistry, *, redirected: bool) -> Namespace | None:
    """The namespace of a call; None for methods that are about none, or that look for it themselves.

    `redirected`: whether the call goes through redirection, which has words of its own for an empty name.
    Raises InvalidArgument and NamespaceNotFound.
    """
    if not method.has_namespace or method.name in _LOOKS_ITSELF:
        return None
    if not name:
        raise InvalidArgument("Namespace is empty." if redirected else "Namespace not set on request.")
    namespace = registry.by_name(name)
    if namespace.record.deleted_time:
        raise NamespaceNotFound(name)
    return namespace


def validate(
    method: Method, request: Message, namespace: Namespace | None, registry: NamespaceRegistry
) -> None:
    """The checks of the answering region: token and name agree, and the namespace's state allows the method.

    Raises InvalidArgument, NamespaceNotFound, and FailedPrecondition for a start in a deprecated namespace.
    """
    if method.has_task_token:
        owner = _of_token(request, registry)
        if namespace is not None and owner.id != namespace.id:
            raise InvalidArgument("Operation requested with a token from a different namespace.")
    if namespace is not None and namespace.record.deprecated and method.name in _ONLY_REGISTERED:
        state, allowed = NamespaceState.NAMESPACE_STATE_DEPRECATED, NamespaceState.NAMESPACE_STATE_REGISTERED
        raise FailedPrecondition(
            "Namespace has invalid state: Deprecated. Must be Registered.",
            NamespaceInvalidStateFailure(namespace=namespace.name, state=state, allowed_states=[allowed]),
        )


def _of_token(request: Message, registry: NamespaceRegistry) -> Namespace:
    raw: bytes = getattr(request, "task_token")  # noqa: B009
    if isinstance(request, RespondQueryTaskCompletedRequest):
        return registry.by_id(QueryToken.load(raw).namespace_id)
    return registry.by_id(TaskToken.load(raw).namespace_id)
