from mockcloud.api.admin.v1 import region_admin_pb2 as _region_admin_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AddFaultRequest(_message.Message):
    __slots__ = ["fault"]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    fault: Fault
    def __init__(self, fault: _Optional[_Union[Fault, _Mapping]] = ...) -> None: ...

class AddFaultResponse(_message.Message):
    __slots__ = ["fault"]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    fault: Fault
    def __init__(self, fault: _Optional[_Union[Fault, _Mapping]] = ...) -> None: ...

class ChangeRegionRequest(_message.Message):
    __slots__ = ["namespace", "no_wait", "region", "who"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NO_WAIT_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    no_wait: bool
    region: str
    who: str
    def __init__(self, namespace: _Optional[str] = ..., region: _Optional[str] = ..., who: _Optional[str] = ..., no_wait: bool = ...) -> None: ...

class CloudDeadLettersRequest(_message.Message):
    __slots__ = ["ids", "region"]
    IDS_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    region: str
    def __init__(self, region: _Optional[str] = ..., ids: _Optional[_Iterable[int]] = ...) -> None: ...

class CloudLagRequest(_message.Message):
    __slots__ = ["namespace"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class CloudLagResponse(_message.Message):
    __slots__ = ["lags"]
    LAGS_FIELD_NUMBER: _ClassVar[int]
    lags: _containers.RepeatedCompositeFieldContainer[_region_admin_pb2.NamespaceLag]
    def __init__(self, lags: _Optional[_Iterable[_Union[_region_admin_pb2.NamespaceLag, _Mapping]]] = ...) -> None: ...

class CreateNamespaceRequest(_message.Message):
    __slots__ = ["name", "operation_id", "regions", "retention_days", "who"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    RETENTION_DAYS_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    name: str
    operation_id: str
    regions: _containers.RepeatedScalarFieldContainer[str]
    retention_days: int
    who: str
    def __init__(self, name: _Optional[str] = ..., regions: _Optional[_Iterable[str]] = ..., retention_days: _Optional[int] = ..., who: _Optional[str] = ..., operation_id: _Optional[str] = ...) -> None: ...

class CreateNamespaceResponse(_message.Message):
    __slots__ = ["endpoint", "namespace_id"]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_ID_FIELD_NUMBER: _ClassVar[int]
    endpoint: str
    namespace_id: str
    def __init__(self, endpoint: _Optional[str] = ..., namespace_id: _Optional[str] = ...) -> None: ...

class DeleteNamespaceRequest(_message.Message):
    __slots__ = ["namespace", "who"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    who: str
    def __init__(self, namespace: _Optional[str] = ..., who: _Optional[str] = ...) -> None: ...

class EventsOutcome(_message.Message):
    __slots__ = ["after_switch", "event_ids", "names", "outcome", "reason", "run_id", "to_event_ids", "types"]
    AFTER_SWITCH_FIELD_NUMBER: _ClassVar[int]
    EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TO_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    after_switch: bool
    event_ids: _containers.RepeatedScalarFieldContainer[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    outcome: str
    reason: str
    run_id: str
    to_event_ids: _containers.RepeatedScalarFieldContainer[int]
    types: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, outcome: _Optional[str] = ..., reason: _Optional[str] = ..., run_id: _Optional[str] = ..., after_switch: bool = ..., event_ids: _Optional[_Iterable[int]] = ..., types: _Optional[_Iterable[int]] = ..., to_event_ids: _Optional[_Iterable[int]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class FailoverReport(_message.Message):
    __slots__ = ["not_returned", "operation", "runs"]
    NOT_RETURNED_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    not_returned: bool
    operation: OperationView
    runs: _containers.RepeatedCompositeFieldContainer[RunReport]
    def __init__(self, operation: _Optional[_Union[OperationView, _Mapping]] = ..., runs: _Optional[_Iterable[_Union[RunReport, _Mapping]]] = ..., not_returned: bool = ...) -> None: ...

class FailoverRequest(_message.Message):
    __slots__ = ["by_temporal", "forced", "namespace", "no_wait", "operation_id", "region", "who"]
    BY_TEMPORAL_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NO_WAIT_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    by_temporal: bool
    forced: bool
    namespace: str
    no_wait: bool
    operation_id: str
    region: str
    who: str
    def __init__(self, namespace: _Optional[str] = ..., region: _Optional[str] = ..., forced: bool = ..., who: _Optional[str] = ..., operation_id: _Optional[str] = ..., no_wait: bool = ..., by_temporal: bool = ...) -> None: ...

class FailoverResponse(_message.Message):
    __slots__ = ["operation"]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: OperationView
    def __init__(self, operation: _Optional[_Union[OperationView, _Mapping]] = ...) -> None: ...

class FailoversRequest(_message.Message):
    __slots__ = ["namespace"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class FailoversResponse(_message.Message):
    __slots__ = ["failovers"]
    FAILOVERS_FIELD_NUMBER: _ClassVar[int]
    failovers: _containers.RepeatedCompositeFieldContainer[OperationView]
    def __init__(self, failovers: _Optional[_Iterable[_Union[OperationView, _Mapping]]] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ["kind", "name", "one_way", "probability", "seconds", "source", "target"]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ONE_WAY_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    one_way: bool
    probability: float
    seconds: float
    source: str
    target: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., source: _Optional[str] = ..., target: _Optional[str] = ..., one_way: bool = ..., seconds: _Optional[float] = ..., probability: _Optional[float] = ...) -> None: ...

class HistoryRequest(_message.Message):
    __slots__ = ["namespace", "run_id", "workflow_id"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run_id: str
    workflow_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...

class HistoryResponse(_message.Message):
    __slots__ = ["regions"]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    regions: _containers.RepeatedCompositeFieldContainer[_region_admin_pb2.HistoryTreeResponse]
    def __init__(self, regions: _Optional[_Iterable[_Union[_region_admin_pb2.HistoryTreeResponse, _Mapping]]] = ...) -> None: ...

class KillControlRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class KillControlResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class KillRegionRequest(_message.Message):
    __slots__ = ["region"]
    REGION_FIELD_NUMBER: _ClassVar[int]
    region: str
    def __init__(self, region: _Optional[str] = ...) -> None: ...

class KillRegionResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class KindCount(_message.Message):
    __slots__ = ["count", "kind"]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    count: int
    kind: str
    def __init__(self, kind: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class LeftEvents(_message.Message):
    __slots__ = ["after_switch", "first_event_id", "names", "types", "version"]
    AFTER_SWITCH_FIELD_NUMBER: _ClassVar[int]
    FIRST_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    after_switch: bool
    first_event_id: int
    names: _containers.RepeatedScalarFieldContainer[str]
    types: _containers.RepeatedScalarFieldContainer[int]
    version: int
    def __init__(self, version: _Optional[int] = ..., first_event_id: _Optional[int] = ..., types: _Optional[_Iterable[int]] = ..., after_switch: bool = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class ListCloudDeadLettersRequest(_message.Message):
    __slots__ = ["namespace", "region"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    region: str
    def __init__(self, namespace: _Optional[str] = ..., region: _Optional[str] = ...) -> None: ...

class ListCloudDeadLettersResponse(_message.Message):
    __slots__ = ["letters"]
    LETTERS_FIELD_NUMBER: _ClassVar[int]
    letters: _containers.RepeatedCompositeFieldContainer[_region_admin_pb2.DeadLetter]
    def __init__(self, letters: _Optional[_Iterable[_Union[_region_admin_pb2.DeadLetter, _Mapping]]] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ["after", "seconds"]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    after: str
    seconds: float
    def __init__(self, after: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ["closed", "events", "last_id", "missed"]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    LAST_ID_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    closed: bool
    events: _containers.RepeatedCompositeFieldContainer[TimelineEvent]
    last_id: str
    missed: int
    def __init__(self, events: _Optional[_Iterable[_Union[TimelineEvent, _Mapping]]] = ..., last_id: _Optional[str] = ..., missed: _Optional[int] = ..., closed: bool = ...) -> None: ...

class ListFaultsRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ListFaultsResponse(_message.Message):
    __slots__ = ["faults"]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    faults: _containers.RepeatedCompositeFieldContainer[Fault]
    def __init__(self, faults: _Optional[_Iterable[_Union[Fault, _Mapping]]] = ...) -> None: ...

class ListNotificationsRequest(_message.Message):
    __slots__ = ["most"]
    MOST_FIELD_NUMBER: _ClassVar[int]
    most: int
    def __init__(self, most: _Optional[int] = ...) -> None: ...

class ListNotificationsResponse(_message.Message):
    __slots__ = ["notifications"]
    NOTIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    notifications: _containers.RepeatedCompositeFieldContainer[Notification]
    def __init__(self, notifications: _Optional[_Iterable[_Union[Notification, _Mapping]]] = ...) -> None: ...

class ListOperationsRequest(_message.Message):
    __slots__ = ["limit", "namespace"]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    limit: int
    namespace: str
    def __init__(self, namespace: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListOperationsResponse(_message.Message):
    __slots__ = ["operations"]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    operations: _containers.RepeatedCompositeFieldContainer[OperationView]
    def __init__(self, operations: _Optional[_Iterable[_Union[OperationView, _Mapping]]] = ...) -> None: ...

class NamespaceOverview(_message.Message):
    __slots__ = ["active_region", "endpoint", "failback_region", "name", "operation", "regions", "replicas"]
    ACTIVE_REGION_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    FAILBACK_REGION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    active_region: str
    endpoint: str
    failback_region: str
    name: str
    operation: OperationView
    regions: _containers.RepeatedCompositeFieldContainer[_region_admin_pb2.NamespaceStatusResponse]
    replicas: _containers.RepeatedCompositeFieldContainer[ReplicaOverview]
    def __init__(self, name: _Optional[str] = ..., endpoint: _Optional[str] = ..., active_region: _Optional[str] = ..., regions: _Optional[_Iterable[_Union[_region_admin_pb2.NamespaceStatusResponse, _Mapping]]] = ..., failback_region: _Optional[str] = ..., operation: _Optional[_Union[OperationView, _Mapping]] = ..., replicas: _Optional[_Iterable[_Union[ReplicaOverview, _Mapping]]] = ...) -> None: ...

class Notification(_message.Message):
    __slots__ = ["body", "delivery", "id", "namespace", "problem", "recipients", "sent_time", "subject", "time"]
    BODY_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    SENT_TIME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    body: str
    delivery: str
    id: str
    namespace: str
    problem: str
    recipients: _containers.RepeatedScalarFieldContainer[str]
    sent_time: int
    subject: str
    time: int
    def __init__(self, id: _Optional[str] = ..., time: _Optional[int] = ..., namespace: _Optional[str] = ..., subject: _Optional[str] = ..., body: _Optional[str] = ..., recipients: _Optional[_Iterable[str]] = ..., delivery: _Optional[str] = ..., sent_time: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class OperationView(_message.Message):
    __slots__ = ["after_id", "cause", "failback_region", "fill", "finished_time", "id", "kind", "mode", "namespace", "reason", "region", "source", "started_time", "state", "step", "trigger", "unreplicated", "version", "who"]
    AFTER_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    FAILBACK_REGION_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    FINISHED_TIME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STARTED_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    UNREPLICATED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    after_id: str
    cause: str
    failback_region: str
    fill: _region_admin_pb2.FillProgress
    finished_time: int
    id: str
    kind: str
    mode: str
    namespace: str
    reason: str
    region: str
    source: str
    started_time: int
    state: str
    step: str
    trigger: str
    unreplicated: Unreplicated
    version: int
    who: str
    def __init__(self, id: _Optional[str] = ..., namespace: _Optional[str] = ..., region: _Optional[str] = ..., source: _Optional[str] = ..., state: _Optional[str] = ..., step: _Optional[str] = ..., mode: _Optional[str] = ..., reason: _Optional[str] = ..., who: _Optional[str] = ..., started_time: _Optional[int] = ..., finished_time: _Optional[int] = ..., version: _Optional[int] = ..., kind: _Optional[str] = ..., fill: _Optional[_Union[_region_admin_pb2.FillProgress, _Mapping]] = ..., trigger: _Optional[str] = ..., cause: _Optional[str] = ..., failback_region: _Optional[str] = ..., after_id: _Optional[str] = ..., unreplicated: _Optional[_Union[Unreplicated, _Mapping]] = ...) -> None: ...

class RegionState(_message.Message):
    __slots__ = ["address", "conditions", "name", "up"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    address: str
    conditions: _containers.RepeatedScalarFieldContainer[str]
    name: str
    up: bool
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., up: bool = ..., conditions: _Optional[_Iterable[str]] = ...) -> None: ...

class RemoveFaultRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveFaultResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ReplicaOverview(_message.Message):
    __slots__ = ["region", "state"]
    REGION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    region: str
    state: str
    def __init__(self, region: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ResetFaultsRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ResetFaultsResponse(_message.Message):
    __slots__ = ["removed"]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: _containers.RepeatedCompositeFieldContainer[Fault]
    def __init__(self, removed: _Optional[_Iterable[_Union[Fault, _Mapping]]] = ...) -> None: ...

class RunReport(_message.Message):
    __slots__ = ["left", "outcomes", "run_id", "workflow_id"]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    left: _containers.RepeatedCompositeFieldContainer[LeftEvents]
    outcomes: _containers.RepeatedCompositeFieldContainer[EventsOutcome]
    run_id: str
    workflow_id: str
    def __init__(self, workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., left: _Optional[_Iterable[_Union[LeftEvents, _Mapping]]] = ..., outcomes: _Optional[_Iterable[_Union[EventsOutcome, _Mapping]]] = ...) -> None: ...

class ShowCloudDeadLetterRequest(_message.Message):
    __slots__ = ["id", "region"]
    ID_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    id: int
    region: str
    def __init__(self, region: _Optional[str] = ..., id: _Optional[int] = ...) -> None: ...

class ShowCloudDeadLetterResponse(_message.Message):
    __slots__ = ["letter"]
    LETTER_FIELD_NUMBER: _ClassVar[int]
    letter: _region_admin_pb2.DeadLetter
    def __init__(self, letter: _Optional[_Union[_region_admin_pb2.DeadLetter, _Mapping]] = ...) -> None: ...

class StartControlRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class StartControlResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class StartRegionRequest(_message.Message):
    __slots__ = ["region"]
    REGION_FIELD_NUMBER: _ClassVar[int]
    region: str
    def __init__(self, region: _Optional[str] = ...) -> None: ...

class StartRegionResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ["cloud_ops", "control_up", "faults", "http", "namespaces", "regions"]
    CLOUD_OPS_FIELD_NUMBER: _ClassVar[int]
    CONTROL_UP_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    HTTP_FIELD_NUMBER: _ClassVar[int]
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    cloud_ops: str
    control_up: bool
    faults: _containers.RepeatedCompositeFieldContainer[Fault]
    http: str
    namespaces: _containers.RepeatedCompositeFieldContainer[NamespaceOverview]
    regions: _containers.RepeatedCompositeFieldContainer[RegionState]
    def __init__(self, regions: _Optional[_Iterable[_Union[RegionState, _Mapping]]] = ..., control_up: bool = ..., cloud_ops: _Optional[str] = ..., namespaces: _Optional[_Iterable[_Union[NamespaceOverview, _Mapping]]] = ..., faults: _Optional[_Iterable[_Union[Fault, _Mapping]]] = ..., http: _Optional[str] = ...) -> None: ...

class TimelineEvent(_message.Message):
    __slots__ = ["data", "id", "kind", "time"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    data: str
    id: str
    kind: str
    time: int
    def __init__(self, id: _Optional[str] = ..., time: _Optional[int] = ..., kind: _Optional[str] = ..., data: _Optional[str] = ...) -> None: ...

class Unreplicated(_message.Message):
    __slots__ = ["events", "failover_version", "from_file", "kinds", "last_node", "other_changes", "other_kinds", "problem", "settled_time", "taken_time", "workflows"]
    class OtherKindsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    FAILOVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    FROM_FILE_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    LAST_NODE_FIELD_NUMBER: _ClassVar[int]
    OTHER_CHANGES_FIELD_NUMBER: _ClassVar[int]
    OTHER_KINDS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SETTLED_TIME_FIELD_NUMBER: _ClassVar[int]
    TAKEN_TIME_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    events: int
    failover_version: int
    from_file: bool
    kinds: _containers.RepeatedCompositeFieldContainer[KindCount]
    last_node: int
    other_changes: int
    other_kinds: _containers.ScalarMap[str, int]
    problem: str
    settled_time: int
    taken_time: int
    workflows: int
    def __init__(self, events: _Optional[int] = ..., workflows: _Optional[int] = ..., kinds: _Optional[_Iterable[_Union[KindCount, _Mapping]]] = ..., other_changes: _Optional[int] = ..., other_kinds: _Optional[_Mapping[str, int]] = ..., taken_time: _Optional[int] = ..., from_file: bool = ..., problem: _Optional[str] = ..., settled_time: _Optional[int] = ..., last_node: _Optional[int] = ..., failover_version: _Optional[int] = ...) -> None: ...
