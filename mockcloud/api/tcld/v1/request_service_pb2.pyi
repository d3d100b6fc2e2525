from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetRequestStatusRequest(_message.Message):
    __slots__ = ["request_id"]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    def __init__(self, request_id: _Optional[str] = ...) -> None: ...

class GetRequestStatusResponse(_message.Message):
    __slots__ = ["request_status"]
    REQUEST_STATUS_FIELD_NUMBER: _ClassVar[int]
    request_status: RequestStatus
    def __init__(self, request_status: _Optional[_Union[RequestStatus, _Mapping]] = ...) -> None: ...

class RequestStatus(_message.Message):
    __slots__ = ["check_duration", "failure_reason", "finish_time", "operation_type", "request_id", "resource_id", "resource_type", "start_time", "state"]
    CHECK_DURATION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    OPERATION_TYPE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    check_duration: _duration_pb2.Duration
    failure_reason: str
    finish_time: _timestamp_pb2.Timestamp
    operation_type: str
    request_id: str
    resource_id: str
    resource_type: str
    start_time: _timestamp_pb2.Timestamp
    state: int
    def __init__(self, request_id: _Optional[str] = ..., state: _Optional[int] = ..., check_duration: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., operation_type: _Optional[str] = ..., resource_id: _Optional[str] = ..., resource_type: _Optional[str] = ..., failure_reason: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
