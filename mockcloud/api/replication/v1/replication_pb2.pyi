from mockcloud.api.state.v1 import schedule_pb2 as _schedule_pb2
from mockcloud.api.state.v1 import state_pb2 as _state_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ActivityState(_message.Message):
    __slots__ = ["activity", "items", "run_id", "workflow_id"]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    activity: _state_pb2.ActivityRecord
    items: _containers.RepeatedCompositeFieldContainer[_state_pb2.VersionHistoryItem]
    run_id: str
    workflow_id: str
    def __init__(self, workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_state_pb2.VersionHistoryItem, _Mapping]]] = ..., activity: _Optional[_Union[_state_pb2.ActivityRecord, _Mapping]] = ...) -> None: ...

class FromReceiver(_message.Message):
    __slots__ = ["applied_position", "pause", "received_position", "resend", "want_after"]
    APPLIED_POSITION_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_POSITION_FIELD_NUMBER: _ClassVar[int]
    RESEND_FIELD_NUMBER: _ClassVar[int]
    WANT_AFTER_FIELD_NUMBER: _ClassVar[int]
    applied_position: int
    pause: bool
    received_position: int
    resend: bool
    want_after: int
    def __init__(self, applied_position: _Optional[int] = ..., want_after: _Optional[int] = ..., resend: bool = ..., pause: bool = ..., received_position: _Optional[int] = ...) -> None: ...

class FromSender(_message.Message):
    __slots__ = ["ahead", "position", "previous_position", "sent_at", "tasks"]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_POSITION_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    ahead: _containers.RepeatedCompositeFieldContainer[ReplicationTask]
    position: int
    previous_position: int
    sent_at: int
    tasks: _containers.RepeatedCompositeFieldContainer[ReplicationTask]
    def __init__(self, previous_position: _Optional[int] = ..., position: _Optional[int] = ..., tasks: _Optional[_Iterable[_Union[ReplicationTask, _Mapping]]] = ..., sent_at: _Optional[int] = ..., ahead: _Optional[_Iterable[_Union[ReplicationTask, _Mapping]]] = ...) -> None: ...

class GetHistoryRangeRequest(_message.Message):
    __slots__ = ["after_event_id", "namespace_id", "run_id", "until", "with_copy", "workflow_id"]
    AFTER_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    WITH_COPY_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    after_event_id: int
    namespace_id: str
    run_id: str
    until: _state_pb2.VersionHistoryItem
    with_copy: bool
    workflow_id: str
    def __init__(self, namespace_id: _Optional[str] = ..., workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., after_event_id: _Optional[int] = ..., until: _Optional[_Union[_state_pb2.VersionHistoryItem, _Mapping]] = ..., with_copy: bool = ...) -> None: ...

class GetHistoryRangeResponse(_message.Message):
    __slots__ = ["batches"]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    batches: _containers.RepeatedCompositeFieldContainer[HistoryBatch]
    def __init__(self, batches: _Optional[_Iterable[_Union[HistoryBatch, _Mapping]]] = ...) -> None: ...

class GetNamespaceRecordRequest(_message.Message):
    __slots__ = ["namespace_id"]
    NAMESPACE_ID_FIELD_NUMBER: _ClassVar[int]
    namespace_id: str
    def __init__(self, namespace_id: _Optional[str] = ...) -> None: ...

class GetNamespaceRecordResponse(_message.Message):
    __slots__ = ["record"]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: _state_pb2.NamespaceRecord
    def __init__(self, record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ...) -> None: ...

class HistoryBatch(_message.Message):
    __slots__ = ["base", "create_request_id", "events", "filled", "items", "new_run", "request_ids", "run_id", "workflow_id"]
    BASE_FIELD_NUMBER: _ClassVar[int]
    CREATE_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    FILLED_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEW_RUN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_IDS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    base: ResetBase
    create_request_id: str
    events: bytes
    filled: bool
    items: _containers.RepeatedCompositeFieldContainer[_state_pb2.VersionHistoryItem]
    new_run: HistoryBatch
    request_ids: _containers.RepeatedScalarFieldContainer[str]
    run_id: str
    workflow_id: str
    def __init__(self, workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_state_pb2.VersionHistoryItem, _Mapping]]] = ..., events: _Optional[bytes] = ..., create_request_id: _Optional[str] = ..., new_run: _Optional[_Union[HistoryBatch, _Mapping]] = ..., request_ids: _Optional[_Iterable[str]] = ..., base: _Optional[_Union[ResetBase, _Mapping]] = ..., filled: bool = ...) -> None: ...

class PutNamespaceRecordRequest(_message.Message):
    __slots__ = ["record"]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: _state_pb2.NamespaceRecord
    def __init__(self, record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ...) -> None: ...

class PutNamespaceRecordResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ReapplyEventsRequest(_message.Message):
    __slots__ = ["events", "namespace_id", "run_id", "workflow_id"]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    events: bytes
    namespace_id: str
    run_id: str
    workflow_id: str
    def __init__(self, namespace_id: _Optional[str] = ..., workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., events: _Optional[bytes] = ...) -> None: ...

class ReapplyEventsResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ReplicationTask(_message.Message):
    __slots__ = ["activity", "created_at", "deletion", "history", "namespace_record", "position", "run_state", "schedule", "task_queue"]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    DELETION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_RECORD_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    RUN_STATE_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    TASK_QUEUE_FIELD_NUMBER: _ClassVar[int]
    activity: ActivityState
    created_at: int
    deletion: RunDeletion
    history: HistoryBatch
    namespace_record: _state_pb2.NamespaceRecord
    position: int
    run_state: RunStateRecord
    schedule: ScheduleState
    task_queue: _state_pb2.TaskQueueUserData
    def __init__(self, position: _Optional[int] = ..., created_at: _Optional[int] = ..., history: _Optional[_Union[HistoryBatch, _Mapping]] = ..., activity: _Optional[_Union[ActivityState, _Mapping]] = ..., namespace_record: _Optional[_Union[_state_pb2.NamespaceRecord, _Mapping]] = ..., run_state: _Optional[_Union[RunStateRecord, _Mapping]] = ..., deletion: _Optional[_Union[RunDeletion, _Mapping]] = ..., task_queue: _Optional[_Union[_state_pb2.TaskQueueUserData, _Mapping]] = ..., schedule: _Optional[_Union[ScheduleState, _Mapping]] = ...) -> None: ...

class ResetBase(_message.Message):
    __slots__ = ["item", "reset_time", "run_id"]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    RESET_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    item: _state_pb2.VersionHistoryItem
    reset_time: int
    run_id: str
    def __init__(self, run_id: _Optional[str] = ..., item: _Optional[_Union[_state_pb2.VersionHistoryItem, _Mapping]] = ..., reset_time: _Optional[int] = ...) -> None: ...

class RunDeletion(_message.Message):
    __slots__ = ["items", "run_id", "version", "workflow_id"]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_state_pb2.VersionHistoryItem]
    run_id: str
    version: int
    workflow_id: str
    def __init__(self, workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., version: _Optional[int] = ..., items: _Optional[_Iterable[_Union[_state_pb2.VersionHistoryItem, _Mapping]]] = ...) -> None: ...

class RunStateRecord(_message.Message):
    __slots__ = ["close_errands", "items", "problems", "reapplied", "run_id", "workflow_id"]
    CLOSE_ERRANDS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    REAPPLIED_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    close_errands: _state_pb2.CloseErrands
    items: _containers.RepeatedCompositeFieldContainer[_state_pb2.VersionHistoryItem]
    problems: _state_pb2.TaskProblems
    reapplied: _containers.RepeatedCompositeFieldContainer[_state_pb2.ReappliedEvent]
    run_id: str
    workflow_id: str
    def __init__(self, workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_state_pb2.VersionHistoryItem, _Mapping]]] = ..., reapplied: _Optional[_Iterable[_Union[_state_pb2.ReappliedEvent, _Mapping]]] = ..., close_errands: _Optional[_Union[_state_pb2.CloseErrands, _Mapping]] = ..., problems: _Optional[_Union[_state_pb2.TaskProblems, _Mapping]] = ...) -> None: ...

class ScheduleState(_message.Message):
    __slots__ = ["patch", "record", "run_id", "update", "workflow_id"]
    PATCH_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    patch: bytes
    record: _schedule_pb2.ScheduleRecord
    run_id: str
    update: bytes
    workflow_id: str
    def __init__(self, workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., record: _Optional[_Union[_schedule_pb2.ScheduleRecord, _Mapping]] = ..., update: _Optional[bytes] = ..., patch: _Optional[bytes] = ...) -> None: ...
