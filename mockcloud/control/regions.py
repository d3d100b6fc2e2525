"""A region as control plane and tools see it: typed calls to its peer server, and nothing else of it.

Time-outs are nanoseconds. Whatever a region answers, or that it cannot be reached, comes out as a ServiceError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

from google.protobuf.message import Message
from temporalio.api.enums.v1 import ReplicationState
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest, DeleteNamespaceResponse
from temporalio.api.operatorservice.v1 import service_pb2 as operator_service
from temporalio.api.replication.v1 import NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import (
    GetSystemInfoRequest,
    GetSystemInfoResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)
from temporalio.api.workflowservice.v1 import service_pb2 as workflow_service

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times
from mockcloud.rpc.transport import Transport

R = TypeVar("R", bound=Message)

WORKFLOW_SERVICE: Final = workflow_service.DESCRIPTOR.services_by_name["WorkflowService"].full_name
OPERATOR_SERVICE: Final = operator_service.DESCRIPTOR.services_by_name["OperatorService"].full_name
REGION_ADMIN: Final = admin.DESCRIPTOR.services_by_name["RegionAdmin"].full_name

HANDOVER: Final = ReplicationState.REPLICATION_STATE_HANDOVER
NORMAL: Final = ReplicationState.REPLICATION_STATE_NORMAL


class RegionClient:
    """One region."""

    def __init__(self, name: str, transport: Transport) -> None:
        self.name: Final = name
        self._transport: Final = transport

    async def set_state(self, namespace: str, state: ReplicationState.ValueType, timeout: int) -> None:
        """Enter or leave HANDOVER here."""
        config = NamespaceReplicationConfig(state=state)
        await self._update(namespace, config, timeout)

    async def make_active(self, namespace: str, timeout: int) -> UpdateNamespaceResponse:
        """Issue the switch here: this region becomes the active one. Done already: the version stays."""
        config = NamespaceReplicationConfig(active_cluster_name=self.name)
        return await self._update(namespace, config, timeout)

    async def create(self, record: NamespaceRecord, timeout: int) -> NamespaceRecord:
        """Make a namespace of a record; made already: nothing. NamespaceAlreadyExists: another one has its name."""
        request = admin.CreateNamespaceRecordRequest(record=record)
        method = f"/{REGION_ADMIN}/CreateNamespace"
        return (await self._call(method, request, admin.CreateNamespaceRecordResponse, timeout)).record

    async def configure(self, request: admin.ConfigureNamespaceRequest, timeout: int) -> NamespaceRecord:
        """Change the configuration; the record afterwards. What is so already is no change."""
        return (await self.ask(request, admin.ConfigureNamespaceResponse, timeout)).record

    async def delete(self, namespace_id: str, timeout: int) -> None:
        """Delete a namespace, here where it is active. NamespaceNotFound: it is deleted."""
        request = DeleteNamespaceRequest(namespace_id=namespace_id)
        method = f"/{OPERATOR_SERVICE}/DeleteNamespace"
        await self._call(method, request, DeleteNamespaceResponse, timeout)

    async def forget(self, namespace_id: str, timeout: int) -> None:
        """Remove all that is here of a namespace without a replica here. FailedPrecondition: it is active here."""
        request = admin.ForgetNamespaceRequest(namespace_id=namespace_id)
        await self.ask(request, admin.ForgetNamespaceResponse, timeout)

    async def namespace(self, namespace: str, timeout: int) -> NamespaceRecord:
        """The record as it is here. NamespaceNotFound."""
        request = admin.GetNamespaceRequest(namespace=namespace)
        return (await self.ask(request, admin.GetNamespaceResponse, timeout)).record

    async def adopt(self, record: NamespaceRecord, timeout: int) -> NamespaceRecord:
        """Tell of a record as a peer would; the record as it is here afterwards."""
        request = admin.AdoptNamespaceRecordRequest(record=record)
        return (await self.ask(request, admin.AdoptNamespaceRecordResponse, timeout)).record

    async def await_replicated(self, namespace: str, peer: str, timeout: int) -> None:
        """Return when `peer` has all that this region had written when it was asked. DeadlineExceeded."""
        request = admin.AwaitReplicatedRequest(namespace=namespace, peer=peer, timeout=timeout)
        await self.ask(request, admin.AwaitReplicatedResponse, timeout)

    async def status(self, namespace: str, timeout: int) -> admin.NamespaceStatusResponse:
        """State and lag of a namespace here."""
        request = admin.NamespaceStatusRequest(namespace=namespace)
        return await self.ask(request, admin.NamespaceStatusResponse, timeout)

    async def health(self, timeout: int) -> admin.GetHealthResponse:
        """How the region does."""
        request = admin.GetHealthRequest()
        return await self.ask(request, admin.GetHealthResponse, timeout)

    async def task_queues(self, timeout: int) -> list[admin.TaskQueueSize]:
        """What waits in its task queues."""
        request = admin.ListTaskQueuesRequest()
        return list((await self.ask(request, admin.ListTaskQueuesResponse, timeout)).queues)

    async def last_minute(self, timeout: int) -> admin.GetLastMinuteResponse:
        """What it counted in the last minute."""
        request = admin.GetLastMinuteRequest()
        return await self.ask(request, admin.GetLastMinuteResponse, timeout)

    async def system_info(self, timeout: int) -> None:
        """A call that every client makes."""
        method = f"/{WORKFLOW_SERVICE}/GetSystemInfo"
        await self._call(method, GetSystemInfoRequest(), GetSystemInfoResponse, timeout)

    async def applied(self, namespace: str, source: str, timeout: int) -> admin.GetAppliedResponse:
        """How far this region has made the log of `source` durable, and what it has of histories."""
        request = admin.GetAppliedRequest(namespace=namespace, source=source)
        return await self.ask(request, admin.GetAppliedResponse, timeout)

    async def find_missing(
        self, namespace: str, events: Iterable[admin.RunEvents], last_node: int, timeout: int
    ) -> list[admin.RunEvents]:
        """Those of `events` that this region did not have when its last batch was `last_node`."""
        request = admin.FindMissingRequest(namespace=namespace, events=events, last_node=last_node)
        return list((await self.ask(request, admin.FindMissingResponse, timeout)).events)

    async def read_tail(self, request: admin.ReadTailRequest, timeout: int) -> admin.ReadTailResponse:
        """A page of what a peer has not acknowledged."""
        return await self.ask(request, admin.ReadTailResponse, timeout)

    async def read_written(
        self, request: admin.ReadWrittenRequest, timeout: int
    ) -> admin.ReadWrittenResponse:
        """A page of what was written since a moment."""
        return await self.ask(request, admin.ReadWrittenResponse, timeout)

    async def history_tree(self, namespace: str, workflow_id: str, timeout: int) -> list[admin.RunTree]:
        """Every run and branch of a workflow id here."""
        request = admin.HistoryTreeRequest(namespace=namespace, workflow_id=workflow_id)
        return list((await self.ask(request, admin.HistoryTreeResponse, timeout)).runs)

    async def watch(self) -> AsyncIterator[admin.NamespaceChange]:
        """All records, then each that changes, until the region or the link to it ends."""
        stream = await self._transport.stream(self.name, f"/{REGION_ADMIN}/WatchNamespaces", metadata={})
        try:
            await stream.send(admin.WatchNamespacesRequest().SerializeToString())
            while (message := await stream.receive()) is not None:
                yield admin.NamespaceChange.FromString(message)
        finally:
            await stream.close()

    async def ask(self, request: Message, answer: type[R], timeout: int | None) -> R:
        """Call the method of RegionAdmin that the request is named after. A `timeout` of None: as long as it takes."""
        method = request.DESCRIPTOR.name.removesuffix("Request")
        return await self._call(f"/{REGION_ADMIN}/{method}", request, answer, timeout)

    async def _update(
        self, namespace: str, config: NamespaceReplicationConfig, timeout: int
    ) -> UpdateNamespaceResponse:
        request = UpdateNamespaceRequest(namespace=namespace, replication_config=config)
        return await self._call(
            f"/{WORKFLOW_SERVICE}/UpdateNamespace", request, UpdateNamespaceResponse, timeout
        )

    async def _call(self, method: str, request: Message, answer: type[R], timeout: int | None) -> R:
        seconds = None if timeout is None else max(timeout, 0) / times.SECOND
        data = await self._transport.unary(self.name, method, request.SerializeToString(), timeout=seconds)
        return answer.FromString(data)
