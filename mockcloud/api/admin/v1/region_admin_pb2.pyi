from mockcloud.api.state.v1 import state_pb2 as _state_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AdoptNamespaceRecordRequest(_message.Message):
    __slots__ = ["record"]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: _state_pb2.NamespaceRecord
    def __init__(self, record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ...) -> None: ...

class AdoptNamespaceRecordResponse(_message.Message):
    __slots__ = ["record"]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: _state_pb2.NamespaceRecord
    def __init__(self, record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ...) -> None: ...

class AwaitReplicatedRequest(_message.Message):
    __slots__ = ["namespace", "peer", "position", "timeout"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    peer: str
    position: int
    timeout: int
    def __init__(self, namespace: _Optional[str] = ..., peer: _Optional[str] = ..., position: _Optional[int] = ..., timeout: _Optional[int] = ...) -> None: ...

class AwaitReplicatedResponse(_message.Message):
    __slots__ = ["position"]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: int
    def __init__(self, position: _Optional[int] = ...) -> None: ...

class BranchView(_message.Message):
    __slots__ = ["current", "events", "fates", "items", "last_shared_event_id"]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    FATES_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    LAST_SHARED_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    current: bool
    events: bytes
    fates: _containers.RepeatedCompositeFieldContainer[EventFate]
    items: _containers.RepeatedCompositeFieldContainer[_state_pb2.VersionHistoryItem]
    last_shared_event_id: int
    def __init__(self, current: bool = ..., items: _Optional[_Iterable[_Union[_state_pb2.VersionHistoryItem, _Mapping]]] = ..., events: _Optional[bytes] = ..., last_shared_event_id: _Optional[int] = ..., fates: _Optional[_Iterable[_Union[EventFate, _Mapping]]] = ...) -> None: ...

class ConfigureNamespaceRequest(_message.Message):
    __slots__ = ["add_clusters", "add_search_attributes", "disable_passive_poller_forwarding", "namespace_id", "remove_clusters", "rename_search_attributes", "retention"]
    class AddSearchAttributesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class RenameSearchAttributesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ADD_CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    ADD_SEARCH_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    DISABLE_PASSIVE_POLLER_FORWARDING_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_ID_FIELD_NUMBER: _ClassVar[int]
    REMOVE_CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    RENAME_SEARCH_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    add_clusters: _containers.RepeatedScalarFieldContainer[str]
    add_search_attributes: _containers.ScalarMap[str, int]
    disable_passive_poller_forwarding: bool
    namespace_id: str
    remove_clusters: _containers.RepeatedScalarFieldContainer[str]
    rename_search_attributes: _containers.ScalarMap[str, str]
    retention: int
    def __init__(self, namespace_id: _Optional[str] = ..., retention: _Optional[int] = ..., add_search_attributes: _Optional[_Mapping[str, int]] = ..., disable_passive_poller_forwarding: bool = ..., add_clusters: _Optional[_Iterable[str]] = ..., remove_clusters: _Optional[_Iterable[str]] = ..., rename_search_attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ConfigureNamespaceResponse(_message.Message):
    __slots__ = ["record"]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: _state_pb2.NamespaceRecord
    def __init__(self, record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ...) -> None: ...

class CreateNamespaceRecordRequest(_message.Message):
    __slots__ = ["record"]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: _state_pb2.NamespaceRecord
    def __init__(self, record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ...) -> None: ...

class CreateNamespaceRecordResponse(_message.Message):
    __slots__ = ["record"]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: _state_pb2.NamespaceRecord
    def __init__(self, record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ["attempts", "failed_at", "id", "namespace", "position", "reason", "region", "run_id", "source", "subject", "task", "workflow_id"]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    attempts: int
    failed_at: int
    id: int
    namespace: str
    position: int
    reason: str
    region: str
    run_id: str
    source: str
    subject: str
    task: bytes
    workflow_id: str
    def __init__(self, id: _Optional[int] = ..., region: _Optional[str] = ..., namespace: _Optional[str] = ..., workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., source: _Optional[str] = ..., position: _Optional[int] = ..., failed_at: _Optional[int] = ..., attempts: _Optional[int] = ..., reason: _Optional[str] = ..., task: _Optional[bytes] = ..., subject: _Optional[str] = ...) -> None: ...

class EventFate(_message.Message):
    __slots__ = ["event_id", "fate", "reason", "run_id", "to_event_id"]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    FATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TO_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    event_id: int
    fate: str
    reason: str
    run_id: str
    to_event_id: int
    def __init__(self, event_id: _Optional[int] = ..., fate: _Optional[str] = ..., run_id: _Optional[str] = ..., to_event_id: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class FillProgress(_message.Message):
    __slots__ = ["peers", "runs", "runs_given"]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    RUNS_GIVEN_FIELD_NUMBER: _ClassVar[int]
    peers: _containers.RepeatedScalarFieldContainer[str]
    runs: int
    runs_given: int
    def __init__(self, peers: _Optional[_Iterable[str]] = ..., runs_given: _Optional[int] = ..., runs: _Optional[int] = ...) -> None: ...

class FindMissingRequest(_message.Message):
    __slots__ = ["events", "last_node", "namespace"]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    LAST_NODE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[RunEvents]
    last_node: int
    namespace: str
    def __init__(self, namespace: _Optional[str] = ..., events: _Optional[_Iterable[_Union[RunEvents, _Mapping]]] = ..., last_node: _Optional[int] = ...) -> None: ...

class FindMissingResponse(_message.Message):
    __slots__ = ["events"]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[RunEvents]
    def __init__(self, events: _Optional[_Iterable[_Union[RunEvents, _Mapping]]] = ...) -> None: ...

class ForgetNamespaceRequest(_message.Message):
    __slots__ = ["namespace_id"]
    NAMESPACE_ID_FIELD_NUMBER: _ClassVar[int]
    namespace_id: str
    def __init__(self, namespace_id: _Optional[str] = ...) -> None: ...

class ForgetNamespaceResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetAppliedRequest(_message.Message):
    __slots__ = ["namespace", "source"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    source: str
    def __init__(self, namespace: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class GetAppliedResponse(_message.Message):
    __slots__ = ["last_node", "position"]
    LAST_NODE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    last_node: int
    position: int
    def __init__(self, position: _Optional[int] = ..., last_node: _Optional[int] = ...) -> None: ...

class GetHealthRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetHealthResponse(_message.Message):
    __slots__ = ["calls", "life", "transactions"]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    LIFE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    calls: Work
    life: str
    transactions: Work
    def __init__(self, life: _Optional[str] = ..., calls: _Optional[_Union[Work, _Mapping]] = ..., transactions: _Optional[_Union[Work, _Mapping]] = ...) -> None: ...

class GetLastMinuteRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetLastMinuteResponse(_message.Message):
    __slots__ = ["calls", "closes", "polls", "run_times"]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    CLOSES_FIELD_NUMBER: _ClassVar[int]
    POLLS_FIELD_NUMBER: _ClassVar[int]
    RUN_TIMES_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[RecentCalls]
    closes: _containers.RepeatedCompositeFieldContainer[RecentCloses]
    polls: _containers.RepeatedCompositeFieldContainer[RecentPolls]
    run_times: _containers.RepeatedCompositeFieldContainer[RunTimes]
    def __init__(self, calls: _Optional[_Iterable[_Union[RecentCalls, _Mapping]]] = ..., polls: _Optional[_Iterable[_Union[RecentPolls, _Mapping]]] = ..., closes: _Optional[_Iterable[_Union[RecentCloses, _Mapping]]] = ..., run_times: _Optional[_Iterable[_Union[RunTimes, _Mapping]]] = ...) -> None: ...

class GetNamespaceRequest(_message.Message):
    __slots__ = ["namespace"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class GetNamespaceResponse(_message.Message):
    __slots__ = ["record"]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: _state_pb2.NamespaceRecord
    def __init__(self, record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ...) -> None: ...

class HistoryTreeRequest(_message.Message):
    __slots__ = ["namespace", "run_id", "workflow_id"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    workflow_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...

class HistoryTreeResponse(_message.Message):
    __slots__ = ["region", "runs"]
    REGION_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    region: str
    runs: _containers.RepeatedCompositeFieldContainer[RunTree]
    def __init__(self, region: _Optional[str] = ..., runs: _Optional[_Iterable[_Union[RunTree, _Mapping]]] = ...) -> None: ...

class LagRequest(_message.Message):
    __slots__ = ["namespace"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class LagResponse(_message.Message):
    __slots__ = ["namespaces"]
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.RepeatedCompositeFieldContainer[NamespaceLag]
    def __init__(self, namespaces: _Optional[_Iterable[_Union[NamespaceLag, _Mapping]]] = ...) -> None: ...

class Latency(_message.Message):
    __slots__ = ["p50", "p95", "p99"]
    P50_FIELD_NUMBER: _ClassVar[int]
    P95_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    p50: int
    p95: int
    p99: int
    def __init__(self, p50: _Optional[int] = ..., p95: _Optional[int] = ..., p99: _Optional[int] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ["after_id", "limit", "namespace"]
    AFTER_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    after_id: int
    limit: int
    namespace: str
    def __init__(self, namespace: _Optional[str] = ..., after_id: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListDeadLettersResponse(_message.Message):
    __slots__ = ["letters", "next_after_id"]
    LETTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_ID_FIELD_NUMBER: _ClassVar[int]
    letters: _containers.RepeatedCompositeFieldContainer[DeadLetter]
    next_after_id: int
    def __init__(self, letters: _Optional[_Iterable[_Union[DeadLetter, _Mapping]]] = ..., next_after_id: _Optional[int] = ...) -> None: ...

class ListNamespacesRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ListNamespacesResponse(_message.Message):
    __slots__ = ["records"]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[_state_pb2.NamespaceRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[_state_pb2.NamespaceRecord, _Mapping]]] = ...) -> None: ...

class ListParkedRequest(_message.Message):
    __slots__ = ["after_id", "limit", "namespace"]
    AFTER_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    after_id: int
    limit: int
    namespace: str
    def __init__(self, namespace: _Optional[str] = ..., after_id: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListParkedResponse(_message.Message):
    __slots__ = ["next_after_id", "tasks"]
    NEXT_AFTER_ID_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    next_after_id: int
    tasks: _containers.RepeatedCompositeFieldContainer[ParkedTask]
    def __init__(self, tasks: _Optional[_Iterable[_Union[ParkedTask, _Mapping]]] = ..., next_after_id: _Optional[int] = ...) -> None: ...

class ListTaskQueuesRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ListTaskQueuesResponse(_message.Message):
    __slots__ = ["queues"]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedCompositeFieldContainer[TaskQueueSize]
    def __init__(self, queues: _Optional[_Iterable[_Union[TaskQueueSize, _Mapping]]] = ...) -> None: ...

class NamespaceChange(_message.Message):
    __slots__ = ["complete", "record"]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    complete: bool
    record: _state_pb2.NamespaceRecord
    def __init__(self, record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ..., complete: bool = ...) -> None: ...

class NamespaceLag(_message.Message):
    __slots__ = ["namespace", "peers", "region"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    peers: _containers.RepeatedCompositeFieldContainer[PeerLag]
    region: str
    def __init__(self, namespace: _Optional[str] = ..., region: _Optional[str] = ..., peers: _Optional[_Iterable[_Union[PeerLag, _Mapping]]] = ...) -> None: ...

class NamespaceStatusRequest(_message.Message):
    __slots__ = ["namespace"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class NamespaceStatusResponse(_message.Message):
    __slots__ = ["dead_letters", "fill", "last_position", "open_workflows", "parked", "parked_tasks", "peers", "record", "region"]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    LAST_POSITION_FIELD_NUMBER: _ClassVar[int]
    OPEN_WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    PARKED_TASKS_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    dead_letters: int
    fill: FillProgress
    last_position: int
    open_workflows: int
    parked: int
    parked_tasks: _containers.RepeatedCompositeFieldContainer[ParkedTask]
    peers: _containers.RepeatedCompositeFieldContainer[PeerLag]
    record: _state_pb2.NamespaceRecord
    region: str
    def __init__(self, region: _Optional[str] = ..., record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ..., last_position: _Optional[int] = ..., peers: _Optional[_Iterable[_Union[PeerLag, _Mapping]]] = ..., open_workflows: _Optional[int] = ..., parked: _Optional[int] = ..., dead_letters: _Optional[int] = ..., parked_tasks: _Optional[_Iterable[_Union[ParkedTask, _Mapping]]] = ..., fill: _Optional[_Union[FillProgress, _Mapping]] = ...) -> None: ...

class ParkedTask(_message.Message):
    __slots__ = ["id", "parked_at", "position", "reason", "run_id", "source", "workflow_id"]
    ID_FIELD_NUMBER: _ClassVar[int]
    PARKED_AT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    parked_at: int
    position: int
    reason: str
    run_id: str
    source: str
    workflow_id: str
    def __init__(self, id: _Optional[int] = ..., workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., source: _Optional[str] = ..., position: _Optional[int] = ..., parked_at: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class PeerLag(_message.Message):
    __slots__ = ["acked_position", "age", "connected", "last_error", "p50", "p95", "p99", "paused", "peer", "tasks"]
    ACKED_POSITION_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    P50_FIELD_NUMBER: _ClassVar[int]
    P95_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    acked_position: int
    age: int
    connected: bool
    last_error: str
    p50: int
    p95: int
    p99: int
    paused: bool
    peer: str
    tasks: int
    def __init__(self, peer: _Optional[str] = ..., acked_position: _Optional[int] = ..., tasks: _Optional[int] = ..., age: _Optional[int] = ..., p50: _Optional[int] = ..., p95: _Optional[int] = ..., p99: _Optional[int] = ..., connected: bool = ..., paused: bool = ..., last_error: _Optional[str] = ...) -> None: ...

class PurgeDeadLettersRequest(_message.Message):
    __slots__ = ["ids"]
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[int]] = ...) -> None: ...

class PurgeDeadLettersResponse(_message.Message):
    __slots__ = ["purged"]
    PURGED_FIELD_NUMBER: _ClassVar[int]
    purged: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, purged: _Optional[_Iterable[int]] = ...) -> None: ...

class ReadTailRequest(_message.Message):
    __slots__ = ["after_position", "namespace", "peer", "up_to_position"]
    AFTER_POSITION_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    UP_TO_POSITION_FIELD_NUMBER: _ClassVar[int]
    after_position: int
    namespace: str
    peer: str
    up_to_position: int
    def __init__(self, namespace: _Optional[str] = ..., peer: _Optional[str] = ..., after_position: _Optional[int] = ..., up_to_position: _Optional[int] = ...) -> None: ...

class ReadTailResponse(_message.Message):
    __slots__ = ["events", "failover_version", "last_node", "last_position", "next_after_position", "other_changes", "other_kinds"]
    class OtherKindsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    FAILOVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    LAST_NODE_FIELD_NUMBER: _ClassVar[int]
    LAST_POSITION_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_POSITION_FIELD_NUMBER: _ClassVar[int]
    OTHER_CHANGES_FIELD_NUMBER: _ClassVar[int]
    OTHER_KINDS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[RunEvents]
    failover_version: int
    last_node: int
    last_position: int
    next_after_position: int
    other_changes: int
    other_kinds: _containers.ScalarMap[str, int]
    def __init__(self, events: _Optional[_Iterable[_Union[RunEvents, _Mapping]]] = ..., other_changes: _Optional[int] = ..., other_kinds: _Optional[_Mapping[str, int]] = ..., next_after_position: _Optional[int] = ..., last_position: _Optional[int] = ..., last_node: _Optional[int] = ..., failover_version: _Optional[int] = ...) -> None: ...

class ReadWrittenRequest(_message.Message):
    __slots__ = ["after_node", "namespace", "version"]
    AFTER_NODE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    after_node: int
    namespace: str
    version: int
    def __init__(self, namespace: _Optional[str] = ..., after_node: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class ReadWrittenResponse(_message.Message):
    __slots__ = ["events", "next_after_node"]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_NODE_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[RunEvents]
    next_after_node: int
    def __init__(self, events: _Optional[_Iterable[_Union[RunEvents, _Mapping]]] = ..., next_after_node: _Optional[int] = ...) -> None: ...

class RecentCalls(_message.Message):
    __slots__ = ["count", "errors", "latency", "namespace", "operation"]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    count: int
    errors: int
    latency: Latency
    namespace: str
    operation: str
    def __init__(self, namespace: _Optional[str] = ..., operation: _Optional[str] = ..., count: _Optional[int] = ..., errors: _Optional[int] = ..., latency: _Optional[_Union[Latency, _Mapping]] = ...) -> None: ...

class RecentCloses(_message.Message):
    __slots__ = ["counts", "namespace", "task_queue", "workflow_type"]
    class CountsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    TASK_QUEUE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TYPE_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.ScalarMap[int, int]
    namespace: str
    task_queue: str
    workflow_type: str
    def __init__(self, namespace: _Optional[str] = ..., task_queue: _Optional[str] = ..., workflow_type: _Optional[str] = ..., counts: _Optional[_Mapping[int, int]] = ...) -> None: ...

class RecentPolls(_message.Message):
    __slots__ = ["kind", "namespace", "success", "success_sync", "task_queue", "timeout"]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_SYNC_FIELD_NUMBER: _ClassVar[int]
    TASK_QUEUE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    namespace: str
    success: int
    success_sync: int
    task_queue: str
    timeout: int
    def __init__(self, namespace: _Optional[str] = ..., task_queue: _Optional[str] = ..., kind: _Optional[str] = ..., success: _Optional[int] = ..., success_sync: _Optional[int] = ..., timeout: _Optional[int] = ...) -> None: ...

class ReplayDeadLettersRequest(_message.Message):
    __slots__ = ["ids"]
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[int]] = ...) -> None: ...

class ReplayDeadLettersResponse(_message.Message):
    __slots__ = ["applied", "failed"]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    applied: _containers.RepeatedScalarFieldContainer[int]
    failed: _containers.RepeatedCompositeFieldContainer[DeadLetter]
    def __init__(self, applied: _Optional[_Iterable[int]] = ..., failed: _Optional[_Iterable[_Union[DeadLetter, _Mapping]]] = ...) -> None: ...

class RunEvents(_message.Message):
    __slots__ = ["first_event_id", "names", "run_id", "types", "version", "workflow_id"]
    FIRST_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    first_event_id: int
    names: _containers.RepeatedScalarFieldContainer[str]
    run_id: str
    types: _containers.RepeatedScalarFieldContainer[int]
    version: int
    workflow_id: str
    def __init__(self, workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., version: _Optional[int] = ..., first_event_id: _Optional[int] = ..., types: _Optional[_Iterable[int]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class RunTimes(_message.Message):
    __slots__ = ["latency", "namespace", "workflow_type"]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TYPE_FIELD_NUMBER: _ClassVar[int]
    latency: Latency
    namespace: str
    workflow_type: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_type: _Optional[str] = ..., latency: _Optional[_Union[Latency, _Mapping]] = ...) -> None: ...

class RunTree(_message.Message):
    __slots__ = ["base_event_id", "base_run_id", "branches", "current", "dead_letter_reason", "parked_reason", "reset_run_id", "run_id", "status", "superseded", "zombie"]
    BASE_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    BASE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    BRANCHES_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_REASON_FIELD_NUMBER: _ClassVar[int]
    PARKED_REASON_FIELD_NUMBER: _ClassVar[int]
    RESET_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_FIELD_NUMBER: _ClassVar[int]
    ZOMBIE_FIELD_NUMBER: _ClassVar[int]
    base_event_id: int
    base_run_id: str
    branches: _containers.RepeatedCompositeFieldContainer[BranchView]
    current: bool
    dead_letter_reason: str
    parked_reason: str
    reset_run_id: str
    run_id: str
    status: int
    superseded: bool
    zombie: bool
    def __init__(self, run_id: _Optional[str] = ..., status: _Optional[int] = ..., current: bool = ..., zombie: bool = ..., parked_reason: _Optional[str] = ..., branches: _Optional[_Iterable[_Union[BranchView, _Mapping]]] = ..., base_run_id: _Optional[str] = ..., base_event_id: _Optional[int] = ..., reset_run_id: _Optional[str] = ..., superseded: bool = ..., dead_letter_reason: _Optional[str] = ...) -> None: ...

class ShowDeadLetterRequest(_message.Message):
    __slots__ = ["id"]
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class ShowDeadLetterResponse(_message.Message):
    __slots__ = ["letter"]
    LETTER_FIELD_NUMBER: _ClassVar[int]
    letter: DeadLetter
    def __init__(self, letter: _Optional[_Union[DeadLetter, _Mapping]] = ...) -> None: ...

class TaskQueueSize(_message.Message):
    __slots__ = ["backlog", "kind", "name", "namespace", "polls"]
    class BacklogEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    BACKLOG_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    POLLS_FIELD_NUMBER: _ClassVar[int]
    backlog: _containers.ScalarMap[int, int]
    kind: str
    name: str
    namespace: str
    polls: int
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[str] = ..., polls: _Optional[int] = ..., backlog: _Optional[_Mapping[int, int]] = ...) -> None: ...

class WatchNamespacesRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class Work(_message.Message):
    __slots__ = ["count", "failed", "pending", "time"]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    count: int
    failed: int
    pending: int
    time: int
    def __init__(self, count: _Optional[int] = ..., failed: _Optional[int] = ..., time: _Optional[int] = ..., pending: _Optional[int] = ...) -> None: ...
