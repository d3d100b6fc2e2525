"""The CloudAdmin service: the command line's way to a running cloud. It only translates to and from `composition`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from google.protobuf.message import DecodeError, Message

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.control.outbox import Notification
from mockcloud.core.errors import InvalidArgument
from mockcloud.rpc.faults import Fault
from mockcloud.rpc.transport import Handlers

if TYPE_CHECKING:
    from mockcloud.cloud.composition import Cloud

R = TypeVar("R", bound=Message)

# An answer that waits for an event is given after so long without one.
_MOST_SECONDS = 30.0
_NOTIFICATIONS = 100

SERVICE = admin.DESCRIPTOR.services_by_name["CloudAdmin"]


Admitted: TypeAlias = Callable[[str, Message, Mapping[str, str]], AbstractAsyncContextManager[None]]
"""Around a call, by its method, request and metadata; raises what refuses it."""


class CloudAdmin:
    """Handlers of the service, over one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._admitted: Admitted | None = None

    def register(self, handlers: Handlers, admitted: Admitted | None = None) -> None:
        """Serve every method of the service on `handlers`, for callers whom `admitted` lets in."""
        self._admitted = admitted
        self._serve(handlers, "Status", admin.StatusRequest, self._status)
        self._serve(handlers, "CloudLag", admin.CloudLagRequest, self._lag)
        self._serve(handlers, "AddFault", admin.AddFaultRequest, self._add_fault)
        self._serve(handlers, "ListFaults", admin.ListFaultsRequest, self._list_faults)
        self._serve(handlers, "RemoveFault", admin.RemoveFaultRequest, self._remove_fault)
        self._serve(handlers, "ResetFaults", admin.ResetFaultsRequest, self._reset_faults)
        self._serve(handlers, "KillRegion", admin.KillRegionRequest, self._kill_region)
        self._serve(handlers, "StartRegion", admin.StartRegionRequest, self._start_region)
        self._serve(handlers, "KillControl", admin.KillControlRequest, self._kill_control)
        self._serve(handlers, "StartControl", admin.StartControlRequest, self._start_control)
        self._serve(handlers, "History", admin.HistoryRequest, self._history)
        self._serve(handlers, "ListCloudDeadLetters", admin.ListCloudDeadLettersRequest, self._dead_letters)
        self._serve(handlers, "ShowCloudDeadLetter", admin.ShowCloudDeadLetterRequest, self._dead_letter)
        self._serve(handlers, "ReplayCloudDeadLetters", admin.CloudDeadLettersRequest, self._replay)
        self._serve(handlers, "PurgeCloudDeadLetters", admin.CloudDeadLettersRequest, self._purge)
        self._serve(handlers, "Failover", admin.FailoverRequest, self._failover)
        self._serve(handlers, "Failovers", admin.FailoversRequest, self._failovers)
        self._serve(handlers, "Report", admin.ReportRequest, self._report)
        self._serve(handlers, "ListEvents", admin.ListEventsRequest, self._list_events)
        self._serve(handlers, "ListNotifications", admin.ListNotificationsRequest, self._list_notifications)
        self._serve(handlers, "CreateNamespace", admin.CreateNamespaceRequest, self._create_namespace)
        self._serve(handlers, "DeleteNamespace", admin.DeleteNamespaceRequest, self._delete_namespace)
        self._serve(handlers, "AddRegion", admin.ChangeRegionRequest, self._add_region)
        self._serve(handlers, "DeleteRegion", admin.ChangeRegionRequest, self._delete_region)
        self._serve(handlers, "ListOperations", admin.ListOperationsRequest, self._operations)

    def _serve(
        self, handlers: Handlers, method: str, kind: type[R], answer: Callable[[R], Awaitable[Message]]
    ) -> None:
        async def serve(raw: bytes, metadata: Mapping[str, str], timeout: float | None) -> bytes:
            try:
                request = kind.FromString(raw)
            except DecodeError as error:
                raise InvalidArgument(f"{kind.DESCRIPTOR.full_name} does not parse") from error
            if self._admitted is None:
                return (await answer(request)).SerializeToString()
            async with self._admitted(method, request, metadata):
                return (await answer(request)).SerializeToString()

        handlers.unary(f"/{SERVICE.full_name}/{method}", serve)

    async def _status(self, request: admin.StatusRequest) -> Message:
        return await self._cloud.status_message()

    async def _lag(self, request: admin.CloudLagRequest) -> Message:
        return admin.CloudLagResponse(lags=await self._cloud.inquiries.lag_messages(request.namespace))

    async def _add_fault(self, request: admin.AddFaultRequest) -> Message:
        wanted = request.fault
        fault = self._cloud.add_fault(
            wanted.kind,
            wanted.source,
            wanted.target,
            one_way=wanted.one_way,
            name=wanted.name,
            seconds=wanted.seconds,
            probability=wanted.probability if wanted.HasField("probability") else 1.0,
        )
        return admin.AddFaultResponse(fault=fault_message(fault))

    async def _list_faults(self, request: admin.ListFaultsRequest) -> Message:
        return admin.ListFaultsResponse(faults=[fault_message(fault) for fault in self._cloud.links.faults])

    async def _remove_fault(self, request: admin.RemoveFaultRequest) -> Message:
        self._cloud.links.remove(request.name)
        return admin.RemoveFaultResponse()

    async def _reset_faults(self, request: admin.ResetFaultsRequest) -> Message:
        removed = [fault_message(fault) for fault in self._cloud.links.faults]
        self._cloud.links.reset()
        return admin.ResetFaultsResponse(removed=removed)

    async def _kill_region(self, request: admin.KillRegionRequest) -> Message:
        await self._cloud.kill_region(request.region)
        return admin.KillRegionResponse()

    async def _start_region(self, request: admin.StartRegionRequest) -> Message:
        await self._cloud.start_region(request.region)
        return admin.StartRegionResponse()

    async def _kill_control(self, request: admin.KillControlRequest) -> Message:
        await self._cloud.kill_control()
        return admin.KillControlResponse()

    async def _start_control(self, request: admin.StartControlRequest) -> Message:
        await self._cloud.start_control()
        return admin.StartControlResponse()

    async def _history(self, request: admin.HistoryRequest) -> Message:
        trees = await self._cloud.inquiries.history_messages(
            request.namespace, request.workflow_id, request.run_id
        )
        return admin.HistoryResponse(regions=trees)

    async def _dead_letters(self, request: admin.ListCloudDeadLettersRequest) -> Message:
        letters = await self._cloud.inquiries.dead_letters(request.namespace, request.region)
        return admin.ListCloudDeadLettersResponse(letters=letters)

    async def _dead_letter(self, request: admin.ShowCloudDeadLetterRequest) -> Message:
        letter = await self._cloud.inquiries.dead_letter(request.region, request.id)
        return admin.ShowCloudDeadLetterResponse(letter=letter)

    async def _replay(self, request: admin.CloudDeadLettersRequest) -> Message:
        return await self._cloud.inquiries.replay_dead_letters(request.region, request.ids)

    async def _purge(self, request: admin.CloudDeadLettersRequest) -> Message:
        return await self._cloud.inquiries.purge_dead_letters(request.region, request.ids)

    async def _failover(self, request: admin.FailoverRequest) -> Message:
        return admin.FailoverResponse(operation=await self._cloud.failover_message(request))

    async def _failovers(self, request: admin.FailoversRequest) -> Message:
        return await self._cloud.failovers_message(request.namespace)

    async def _report(self, request: admin.ReportRequest) -> Message:
        return await self._cloud.report_message(request.name)

    async def _create_namespace(self, request: admin.CreateNamespaceRequest) -> Message:
        return await self._cloud.create_namespace_message(request)

    async def _delete_namespace(self, request: admin.DeleteNamespaceRequest) -> Message:
        return await self._cloud.control.plane.tools.delete_namespace(request)

    async def _add_region(self, request: admin.ChangeRegionRequest) -> Message:
        return await self._cloud.control.plane.tools.add_region(request)

    async def _delete_region(self, request: admin.ChangeRegionRequest) -> Message:
        return await self._cloud.control.plane.tools.delete_region(request)

    async def _operations(self, request: admin.ListOperationsRequest) -> Message:
        return await self._cloud.control.plane.tools.operations(request)

    async def _list_events(self, request: admin.ListEventsRequest) -> Message:
        timeline = self._cloud.timeline
        page = await timeline.read(request.after, wait=max(0.0, min(request.seconds, _MOST_SECONDS)))
        return admin.ListEventsResponse(
            events=[
                admin.TimelineEvent(
                    id=event.id, time=event.time, kind=event.kind, data=json.dumps(event.data)
                )
                for event in page.events
            ],
            last_id=page.last_id,
            missed=page.missed,
            closed=timeline.closed,
        )

    async def _list_notifications(self, request: admin.ListNotificationsRequest) -> Message:
        if request.most < 0:
            raise InvalidArgument("most must not be negative")
        found = await self._cloud.control.plane.notifications(request.most or _NOTIFICATIONS)
        return admin.ListNotificationsResponse(notifications=[notification_message(each) for each in found])


def notification_message(notification: Notification) -> admin.Notification:
    """A notification as the wire has it."""
    return admin.Notification(
        id=notification.id,
        time=notification.time,
        namespace=notification.namespace,
        subject=notification.subject,
        body=notification.body,
        recipients=notification.recipients,
        delivery=notification.delivery,
        sent_time=notification.sent,
        problem=notification.problem,
    )


def fault_message(fault: Fault) -> admin.Fault:
    """A fault as the wire has it."""
    return admin.Fault(
        name=fault.name,
        kind=fault.kind.value,
        source=fault.source,
        target=fault.target,
        one_way=fault.one_way,
        seconds=fault.seconds,
        probability=fault.probability,
    )
