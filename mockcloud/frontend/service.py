"""The frontend of a region: every call to the public services comes through `Frontend.dispatch`.

1. Parse the request; find its namespace.
2. Handover: a call that may not be answered now is held (`handover`).
3. Redirection: the active region answers, here or by forwarding the bytes (`redirection`).
4. The checks of the answering region (`lookup.validate`), then the handler of the method's family.

Steps 2 and 3 act on every method by name, served or not. A switch in the middle of a call leads back to 2 or
to the other region: a refused call has changed nothing. Calls forwarded by peers come the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import ShutdownWorkerRequest

from mockcloud.core.errors import NamespaceHandover, NamespaceNotActive, Unimplemented
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.region import Region
from mockcloud.frontend import (
    activity,
    activity_control,
    batch,
    handover,
    history,
    lookup,
    namespace,
    nexus,
    operator,
    query,
    redirection,
    reset,
    schedule,
    start,
    switches,
    system,
    task_queue,
    update,
    validation,
    visibility,
    worker,
    workflow,
    workflow_control,
    workflow_task,
)
from mockcloud.frontend.calls import CallMeter, now, operation
from mockcloud.frontend.methods import METHODS, SERVICES, WORKFLOW_SERVICE, Method
from mockcloud.frontend.scope import Handler, Scope
from mockcloud.frontend.settings import FrontendSettings, HandoverPolicy
from mockcloud.rpc.methods import Call, parse
from mockcloud.rpc.transport import Transport

__all__ = ["SERVED", "SERVICES", "Frontend"]

_FAMILIES: Final = (
    system,
    namespace,
    start,
    workflow,
    workflow_control,
    reset,
    history,
    workflow_task,
    activity,
    activity_control,
    nexus,
    query,
    update,
    task_queue,
    worker,
    visibility,
    schedule,
    operator,
    batch,
)


def _served() -> Mapping[str, Handler]:
    handlers: dict[str, Handler] = {}
    for family in _FAMILIES:
        for name, handler in family.family.handlers.items():
            full_name = f"/{family.family.service.full_name}/{name}"
            assert full_name in METHODS, f"{name} is a method"
            assert full_name not in handlers, f"{name} has one handler"
            handlers[full_name] = handler
    return handlers


_OWN_CALL_SECONDS: Final = 10.0  # of which a poll waits all but the last

SERVED: Final = _served()
"""Handlers of the methods that are built, by full name."""


class Frontend:
    """One region's public face. Stateless: everything that lasts is the region's."""

    def __init__(
        self,
        region: Region,
        transport: Transport,
        settings: FrontendSettings | None = None,
        calls: CallMeter | None = None,
    ) -> None:
        self._region: Final = region
        self._transport: Final = transport
        self._settings: Final = settings or FrontendSettings()
        self._calls: Final = calls or CallMeter()
        self._recent: Final = self._calls.recent
        region.batches.call = self._serve_own

    async def dispatch(self, call: Call) -> bytes:
        """Answer one call: the serialized response.

        Raises ServiceError; what it says is what the real server would.
        """
        method = METHODS.get(call.full_name)
        if method is None:
            raise Unimplemented(f"unknown method {call.method} for service {call.service}")
        deadline = None if call.timeout is None else asyncio.get_running_loop().time() + call.timeout
        request = parse(method.request_type, call.request)
        registry = self._region.namespaces
        name = lookup.name_of(method, request, registry)
        validation.namespace_name(name, self._region.limits)
        redirected = redirection.allowed(method, call.metadata)
        namespace = lookup.find(method, name, registry, redirected=redirected)
        scope = Scope(self._region, namespace, deadline, call.metadata.get("client-name", ""))
        answer = self._here if namespace is None else self._routed
        called = namespace or registry.find(name)
        if called is None or redirection.forwarded(call.metadata):
            return await answer(call, method, request, scope)
        key = called.name, operation(method, request)
        began, failed = now(), False
        self._recent.tally(began, key).count += 1
        try:
            return await answer(call, method, request, scope)
        except Exception:
            failed = True
            raise
        finally:
            ended = now()
            self._recent.tally(ended, key).ended(ended - began, failed=failed)

    async def _serve_own(self, namespace: Namespace, request: Message) -> Message:
        """A call of the region's own workers, answered here or not at all."""
        name = request.DESCRIPTOR.name.removesuffix("Request")
        handler = SERVED[f"/{WORKFLOW_SERVICE.full_name}/{name}"]
        deadline = asyncio.get_running_loop().time() + _OWN_CALL_SECONDS
        return await handler(Scope(self._region, namespace, deadline, "temporal-server"), request)

    async def _routed(self, call: Call, method: Method, request: Message, scope: Scope) -> bytes:
        """Steps 2 and 3, again whenever a switch comes between; a call is sent a second time at most once."""
        may_forward = redirection.may_forward(method, call.metadata, self._settings, scope.namespace.record)
        sent_again = False
        target = ""
        while True:
            if handover.held(method, scope.namespace):
                await handover.wait(
                    scope.namespace, self._settings.handover, scope.deadline, self._region.limits
                )
            if not sent_again:
                target = scope.namespace.record.active_cluster if may_forward else self._region.name
            try:
                if target == self._region.name:
                    return await self._here(call, method, request, scope)
                return await self._elsewhere(call, method, request, scope, target)
            except NamespaceHandover:
                # HANDOVER began after the call had passed: the write was refused.
                if target != self._region.name or self._settings.handover is HandoverPolicy.REJECT:
                    raise
            except NamespaceNotActive as error:
                if sent_again or not may_forward or error.active_cluster == target:
                    raise
                sent_again = True
                target = error.active_cluster

    async def _here(self, call: Call, method: Method, request: Message, scope: Scope) -> bytes:
        region = self._region
        if scope.target is not None:
            if redirection.forwarded(call.metadata):
                await redirection.news(call.metadata, scope.target, scope.deadline, region.limits)
            redirection.refuse_passive(method, call.metadata, self._settings, scope.target)
        lookup.validate(method, request, scope.target, region.namespaces)
        handler = SERVED.get(method.full_name)
        if handler is None:
            raise Unimplemented(f"{method.name} is not built.")
        switches.require_method(method.name, region.limits)
        response = await self._calls.answer(method, partial(handler, scope, request))
        return response.SerializeToString()

    async def _elsewhere(
        self, call: Call, method: Method, request: Message, scope: Scope, target: str
    ) -> bytes:
        if isinstance(request, ShutdownWorkerRequest):
            # Polls that the worker parked here, before a failover or with redirection off, must end too.
            task_queue.end_polls(scope, request)
        return await redirection.forward(
            call, method, scope.namespace, target, self._transport, scope.deadline, self._settings
        )
