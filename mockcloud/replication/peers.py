"""The unary calls of replication, as functions: what one region asks of another."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.history.v1 import History, HistoryEvent

from mockcloud.api.replication.v1.replication_pb2 import (
    GetHistoryRangeRequest,
    GetHistoryRangeResponse,
    GetNamespaceRecordRequest,
    GetNamespaceRecordResponse,
    HistoryBatch,
    PutNamespaceRecordRequest,
    ReapplyEventsRequest,
)
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.run import RunKey
from mockcloud.core.version_history import Item
from mockcloud.replication import names
from mockcloud.rpc.transport import Transport


class Peers:
    """Calls over one region's transport. All raise what the peer answered, Unavailable over a cut link."""

    def __init__(self, transport: Transport, timeout: float) -> None:
        self._transport = transport
        self._timeout = timeout

    async def history_range(
        self, peer: str, key: RunKey, after_event_id: int, until: Item, *, with_copy: bool = False
    ) -> list[HistoryBatch]:
        """Batches of the branch that has `until`: those after an event id, as many as fit one answer.

        A run that a reset made begins behind its copy of another run, except `with_copy`.
        """
        request = GetHistoryRangeRequest(
            namespace_id=key.namespace_id,
            workflow_id=key.workflow_id,
            run_id=key.run_id,
            after_event_id=after_event_id,
            until=until.message(),
            with_copy=with_copy,
        )
        answer = await self._call(peer, names.GET_HISTORY_RANGE, request.SerializeToString())
        return list(GetHistoryRangeResponse.FromString(answer).batches)

    async def reapply_events(self, peer: str, key: RunKey, events: Sequence[HistoryEvent]) -> None:
        """Have events of a losing branch of run `key` reapplied in the active region."""
        request = ReapplyEventsRequest(
            namespace_id=key.namespace_id,
            workflow_id=key.workflow_id,
            run_id=key.run_id,
            events=History(events=events).SerializeToString(),
        )
        await self._call(peer, names.REAPPLY_EVENTS, request.SerializeToString())

    async def namespace_record(self, peer: str, namespace_id: str) -> NamespaceRecord:
        """The record as the peer has it."""
        request = GetNamespaceRecordRequest(namespace_id=namespace_id)
        answer = await self._call(peer, names.GET_NAMESPACE_RECORD, request.SerializeToString())
        return GetNamespaceRecordResponse.FromString(answer).record

    async def put_namespace_record(self, peer: str, record: NamespaceRecord) -> None:
        """Tell the peer of a namespace."""
        request = PutNamespaceRecordRequest(record=record)
        await self._call(peer, names.PUT_NAMESPACE_RECORD, request.SerializeToString())

    async def _call(self, peer: str, method: str, request: bytes) -> bytes:
        return await self._transport.unary(peer, method, request, timeout=self._timeout)
