from mockcloud.api.state.v1 import state_pb2 as _state_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BufferedStart(_message.Message):
    __slots__ = ["actual_time", "manual", "nominal_time", "overlap_policy"]
    ACTUAL_TIME_FIELD_NUMBER: _ClassVar[int]
    MANUAL_FIELD_NUMBER: _ClassVar[int]
    NOMINAL_TIME_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_POLICY_FIELD_NUMBER: _ClassVar[int]
    actual_time: int
    manual: bool
    nominal_time: int
    overlap_policy: int
    def __init__(self, nominal_time: _Optional[int] = ..., actual_time: _Optional[int] = ..., overlap_policy: _Optional[int] = ..., manual: bool = ...) -> None: ...

class PendingStart(_message.Message):
    __slots__ = ["request_id", "start", "tracked", "workflow_id"]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    TRACKED_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    start: BufferedStart
    tracked: bool
    workflow_id: str
    def __init__(self, start: _Optional[_Union[BufferedStart, _Mapping]] = ..., request_id: _Optional[str] = ..., workflow_id: _Optional[str] = ..., tracked: bool = ...) -> None: ...

class ScheduleRecord(_message.Message):
    __slots__ = ["buffered_starts", "close_time", "conflict_token", "continued_failure", "create_request_id", "due", "info", "items", "last_completion_result", "last_processed_time", "manual_starts", "memo", "ongoing_backfills", "pending_starts", "request_ids", "run_id", "schedule", "schedule_id", "search_attributes", "stamp", "version"]
    BUFFERED_STARTS_FIELD_NUMBER: _ClassVar[int]
    CLOSE_TIME_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONTINUED_FAILURE_FIELD_NUMBER: _ClassVar[int]
    CREATE_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    LAST_COMPLETION_RESULT_FIELD_NUMBER: _ClassVar[int]
    LAST_PROCESSED_TIME_FIELD_NUMBER: _ClassVar[int]
    MANUAL_STARTS_FIELD_NUMBER: _ClassVar[int]
    MEMO_FIELD_NUMBER: _ClassVar[int]
    ONGOING_BACKFILLS_FIELD_NUMBER: _ClassVar[int]
    PENDING_STARTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_IDS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    SEARCH_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    buffered_starts: _containers.RepeatedCompositeFieldContainer[BufferedStart]
    close_time: int
    conflict_token: int
    continued_failure: bytes
    create_request_id: str
    due: int
    info: bytes
    items: _containers.RepeatedCompositeFieldContainer[_state_pb2.VersionHistoryItem]
    last_completion_result: bytes
    last_processed_time: int
    manual_starts: int
    memo: bytes
    ongoing_backfills: _containers.RepeatedScalarFieldContainer[bytes]
    pending_starts: _containers.RepeatedCompositeFieldContainer[PendingStart]
    request_ids: _containers.RepeatedScalarFieldContainer[str]
    run_id: str
    schedule: bytes
    schedule_id: str
    search_attributes: bytes
    stamp: int
    version: int
    def __init__(self, schedule_id: _Optional[str] = ..., run_id: _Optional[str] = ..., schedule: _Optional[bytes] = ..., info: _Optional[bytes] = ..., memo: _Optional[bytes] = ..., search_attributes: _Optional[bytes] = ..., create_request_id: _Optional[str] = ..., request_ids: _Optional[_Iterable[str]] = ..., conflict_token: _Optional[int] = ..., last_processed_time: _Optional[int] = ..., last_completion_result: _Optional[bytes] = ..., continued_failure: _Optional[bytes] = ..., buffered_starts: _Optional[_Iterable[_Union[BufferedStart, _Mapping]]] = ..., pending_starts: _Optional[_Iterable[_Union[PendingStart, _Mapping]]] = ..., ongoing_backfills: _Optional[_Iterable[bytes]] = ..., manual_starts: _Optional[int] = ..., due: _Optional[int] = ..., close_time: _Optional[int] = ..., version: _Optional[int] = ..., stamp: _Optional[int] = ..., items: _Optional[_Iterable[_Union[_state_pb2.VersionHistoryItem, _Mapping]]] = ...) -> None: ...
