from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class HistoryTokenData(_message.Message):
    __slots__ = ["branch_id", "end_event_id", "item_event_id", "item_version", "next_event_id", "reverse", "run_id", "running"]
    BRANCH_ID_FIELD_NUMBER: _ClassVar[int]
    END_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_VERSION_FIELD_NUMBER: _ClassVar[int]
    NEXT_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    branch_id: int
    end_event_id: int
    item_event_id: int
    item_version: int
    next_event_id: int
    reverse: bool
    run_id: str
    running: bool
    def __init__(self, run_id: _Optional[str] = ..., next_event_id: _Optional[int] = ..., end_event_id: _Optional[int] = ..., running: bool = ..., branch_id: _Optional[int] = ..., item_event_id: _Optional[int] = ..., item_version: _Optional[int] = ..., reverse: bool = ...) -> None: ...

class ListTokenData(_message.Message):
    __slots__ = ["namespace_id", "order_time", "run_id", "start_time"]
    NAMESPACE_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    namespace_id: str
    order_time: int
    run_id: str
    start_time: int
    def __init__(self, namespace_id: _Optional[str] = ..., order_time: _Optional[int] = ..., start_time: _Optional[int] = ..., run_id: _Optional[str] = ...) -> None: ...

class QueryTokenData(_message.Message):
    __slots__ = ["namespace_id", "query_id", "task_queue"]
    NAMESPACE_ID_FIELD_NUMBER: _ClassVar[int]
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_QUEUE_FIELD_NUMBER: _ClassVar[int]
    namespace_id: str
    query_id: str
    task_queue: str
    def __init__(self, namespace_id: _Optional[str] = ..., task_queue: _Optional[str] = ..., query_id: _Optional[str] = ...) -> None: ...

class TaskTokenData(_message.Message):
    __slots__ = ["activity_id", "activity_type", "attempt", "kind", "namespace_id", "run_id", "scheduled_event_id", "stamp", "start_version", "started_event_id", "started_time", "version", "workflow_id"]
    ACTIVITY_ID_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_TYPE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    STARTED_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_TIME_FIELD_NUMBER: _ClassVar[int]
    START_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    activity_id: str
    activity_type: str
    attempt: int
    kind: int
    namespace_id: str
    run_id: str
    scheduled_event_id: int
    stamp: int
    start_version: int
    started_event_id: int
    started_time: int
    version: int
    workflow_id: str
    def __init__(self, namespace_id: _Optional[str] = ..., workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., scheduled_event_id: _Optional[int] = ..., started_event_id: _Optional[int] = ..., attempt: _Optional[int] = ..., version: _Optional[int] = ..., start_version: _Optional[int] = ..., started_time: _Optional[int] = ..., activity_id: _Optional[str] = ..., activity_type: _Optional[str] = ..., stamp: _Optional[int] = ..., kind: _Optional[int] = ...) -> None: ...
