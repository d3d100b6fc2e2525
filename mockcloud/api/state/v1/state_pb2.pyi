from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ActivityRecord(_message.Message):
    __slots__ = ["attempt", "backing_off", "cancel_request_event_id", "cancel_requested", "first_scheduled_time", "heartbeat_details", "last_attempt_complete_time", "last_failure", "last_heartbeat_time", "last_worker_identity", "options", "paused", "paused_identity", "paused_reason", "paused_time", "request_id", "reset_heartbeats", "reset_requested", "scheduled_event_id", "scheduled_time", "stamp", "start_version", "started_identity", "started_time", "version"]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    BACKING_OFF_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUEST_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_DETAILS_FIELD_NUMBER: _ClassVar[int]
    LAST_ATTEMPT_COMPLETE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_FIELD_NUMBER: _ClassVar[int]
    LAST_HEARTBEAT_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_WORKER_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PAUSED_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    PAUSED_REASON_FIELD_NUMBER: _ClassVar[int]
    PAUSED_TIME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESET_HEARTBEATS_FIELD_NUMBER: _ClassVar[int]
    RESET_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    STARTED_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    STARTED_TIME_FIELD_NUMBER: _ClassVar[int]
    START_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    backing_off: bool
    cancel_request_event_id: int
    cancel_requested: bool
    first_scheduled_time: int
    heartbeat_details: bytes
    last_attempt_complete_time: int
    last_failure: bytes
    last_heartbeat_time: int
    last_worker_identity: str
    options: bytes
    paused: bool
    paused_identity: str
    paused_reason: str
    paused_time: int
    request_id: str
    reset_heartbeats: bool
    reset_requested: bool
    scheduled_event_id: int
    scheduled_time: int
    stamp: int
    start_version: int
    started_identity: str
    started_time: int
    version: int
    def __init__(self, scheduled_event_id: _Optional[int] = ..., version: _Optional[int] = ..., start_version: _Optional[int] = ..., attempt: _Optional[int] = ..., scheduled_time: _Optional[int] = ..., started_time: _Optional[int] = ..., request_id: _Optional[str] = ..., started_identity: _Optional[str] = ..., last_heartbeat_time: _Optional[int] = ..., heartbeat_details: _Optional[bytes] = ..., last_failure: _Optional[bytes] = ..., last_worker_identity: _Optional[str] = ..., cancel_requested: bool = ..., cancel_request_event_id: _Optional[int] = ..., stamp: _Optional[int] = ..., first_scheduled_time: _Optional[int] = ..., last_attempt_complete_time: _Optional[int] = ..., backing_off: bool = ..., paused: bool = ..., paused_time: _Optional[int] = ..., paused_identity: _Optional[str] = ..., paused_reason: _Optional[str] = ..., reset_requested: bool = ..., reset_heartbeats: bool = ..., options: _Optional[bytes] = ...) -> None: ...

class CloseErrands(_message.Message):
    __slots__ = ["close", "rests_on", "version"]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    RESTS_ON_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    close: VersionHistoryItem
    rests_on: _containers.RepeatedCompositeFieldContainer[RunAt]
    version: int
    def __init__(self, close: _Optional[_Union[VersionHistoryItem, _Mapping]] = ..., version: _Optional[int] = ..., rests_on: _Optional[_Iterable[_Union[RunAt, _Mapping]]] = ...) -> None: ...

class FailoverStatus(_message.Message):
    __slots__ = ["time", "version"]
    TIME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    time: int
    version: int
    def __init__(self, time: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class NamespaceRecord(_message.Message):
    __slots__ = ["active_cluster", "clusters", "config_version", "created_time", "custom_search_attributes", "data", "deleted_time", "deprecated", "description", "disable_passive_poller_forwarding", "failover_history", "failover_version", "handover", "id", "name", "owner_email", "retention", "stored_search_attributes"]
    class CustomSearchAttributesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class DataEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class StoredSearchAttributesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACTIVE_CLUSTER_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_TIME_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_SEARCH_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    DELETED_TIME_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DISABLE_PASSIVE_POLLER_FORWARDING_FIELD_NUMBER: _ClassVar[int]
    FAILOVER_HISTORY_FIELD_NUMBER: _ClassVar[int]
    FAILOVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_FIELD_NUMBER: _ClassVar[int]
    HANDOVER_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_EMAIL_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    STORED_SEARCH_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    active_cluster: str
    clusters: _containers.RepeatedScalarFieldContainer[str]
    config_version: int
    created_time: int
    custom_search_attributes: _containers.ScalarMap[str, int]
    data: _containers.ScalarMap[str, str]
    deleted_time: int
    deprecated: bool
    description: str
    disable_passive_poller_forwarding: bool
    failover_history: _containers.RepeatedCompositeFieldContainer[FailoverStatus]
    failover_version: int
    handover: bool
    id: str
    name: str
    owner_email: str
    retention: int
    stored_search_attributes: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., owner_email: _Optional[str] = ..., retention: _Optional[int] = ..., data: _Optional[_Mapping[str, str]] = ..., custom_search_attributes: _Optional[_Mapping[str, int]] = ..., config_version: _Optional[int] = ..., failover_version: _Optional[int] = ..., active_cluster: _Optional[str] = ..., clusters: _Optional[_Iterable[str]] = ..., handover: bool = ..., failover_history: _Optional[_Iterable[_Union[FailoverStatus, _Mapping]]] = ..., deprecated: bool = ..., created_time: _Optional[int] = ..., disable_passive_poller_forwarding: bool = ..., stored_search_attributes: _Optional[_Mapping[str, str]] = ..., deleted_time: _Optional[int] = ..., **kwargs) -> None: ...

class ReappliedEvent(_message.Message):
    __slots__ = ["event_id", "run_id", "version"]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    event_id: int
    run_id: str
    version: int
    def __init__(self, run_id: _Optional[str] = ..., event_id: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class RunAt(_message.Message):
    __slots__ = ["items", "run_id", "workflow_id"]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[VersionHistoryItem]
    run_id: str
    workflow_id: str
    def __init__(self, workflow_id: _Optional[str] = ..., run_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[VersionHistoryItem, _Mapping]]] = ...) -> None: ...

class RunRecord(_message.Message):
    __slots__ = ["activities", "attached_request_ids", "base_event_id", "base_run_id", "buffered_events", "close_errands", "close_time", "create_request_id", "delete_requested", "first_task_backoff_until", "history_size", "last_task_id", "last_update_time", "last_workflow_task_failure", "next_workflow_task_attempt", "reapplied", "reported_problems", "reported_version", "reset_run_id", "reset_time", "signal_request_ids", "state_transitions", "sticky", "task_problems", "version_histories", "workflow_task", "zombie"]
    class AttachedRequestIdsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ACTIVITIES_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_REQUEST_IDS_FIELD_NUMBER: _ClassVar[int]
    BASE_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    BASE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    BUFFERED_EVENTS_FIELD_NUMBER: _ClassVar[int]
    CLOSE_ERRANDS_FIELD_NUMBER: _ClassVar[int]
    CLOSE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DELETE_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    FIRST_TASK_BACKOFF_UNTIL_FIELD_NUMBER: _ClassVar[int]
    HISTORY_SIZE_FIELD_NUMBER: _ClassVar[int]
    LAST_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_WORKFLOW_TASK_FAILURE_FIELD_NUMBER: _ClassVar[int]
    NEXT_WORKFLOW_TASK_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REAPPLIED_FIELD_NUMBER: _ClassVar[int]
    REPORTED_PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    REPORTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    RESET_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RESET_TIME_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_REQUEST_IDS_FIELD_NUMBER: _ClassVar[int]
    STATE_TRANSITIONS_FIELD_NUMBER: _ClassVar[int]
    STICKY_FIELD_NUMBER: _ClassVar[int]
    TASK_PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    VERSION_HISTORIES_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TASK_FIELD_NUMBER: _ClassVar[int]
    ZOMBIE_FIELD_NUMBER: _ClassVar[int]
    activities: _containers.RepeatedCompositeFieldContainer[ActivityRecord]
    attached_request_ids: _containers.ScalarMap[str, int]
    base_event_id: int
    base_run_id: str
    buffered_events: _containers.RepeatedScalarFieldContainer[bytes]
    close_errands: CloseErrands
    close_time: int
    create_request_id: str
    delete_requested: bool
    first_task_backoff_until: int
    history_size: int
    last_task_id: int
    last_update_time: int
    last_workflow_task_failure: str
    next_workflow_task_attempt: int
    reapplied: _containers.RepeatedCompositeFieldContainer[ReappliedEvent]
    reported_problems: _containers.RepeatedScalarFieldContainer[str]
    reported_version: int
    reset_run_id: str
    reset_time: int
    signal_request_ids: _containers.RepeatedScalarFieldContainer[str]
    state_transitions: int
    sticky: StickyRecord
    task_problems: int
    version_histories: VersionHistories
    workflow_task: WorkflowTaskRecord
    zombie: bool
    def __init__(self, version_histories: _Optional[_Union[VersionHistories, _Mapping]] = ..., workflow_task: _Optional[_Union[WorkflowTaskRecord, _Mapping]] = ..., activities: _Optional[_Iterable[_Union[ActivityRecord, _Mapping]]] = ..., buffered_events: _Optional[_Iterable[bytes]] = ..., sticky: _Optional[_Union[StickyRecord, _Mapping]] = ..., signal_request_ids: _Optional[_Iterable[str]] = ..., reapplied: _Optional[_Iterable[_Union[ReappliedEvent, _Mapping]]] = ..., create_request_id: _Optional[str] = ..., history_size: _Optional[int] = ..., state_transitions: _Optional[int] = ..., next_workflow_task_attempt: _Optional[int] = ..., zombie: bool = ..., last_task_id: _Optional[int] = ..., close_time: _Optional[int] = ..., first_task_backoff_until: _Optional[int] = ..., attached_request_ids: _Optional[_Mapping[str, int]] = ..., last_update_time: _Optional[int] = ..., last_workflow_task_failure: _Optional[str] = ..., close_errands: _Optional[_Union[CloseErrands, _Mapping]] = ..., base_run_id: _Optional[str] = ..., base_event_id: _Optional[int] = ..., reset_time: _Optional[int] = ..., reset_run_id: _Optional[str] = ..., delete_requested: bool = ..., task_problems: _Optional[int] = ..., reported_problems: _Optional[_Iterable[str]] = ..., reported_version: _Optional[int] = ...) -> None: ...

class StickyRecord(_message.Message):
    __slots__ = ["schedule_to_start_timeout", "task_queue"]
    SCHEDULE_TO_START_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    TASK_QUEUE_FIELD_NUMBER: _ClassVar[int]
    schedule_to_start_timeout: int
    task_queue: str
    def __init__(self, task_queue: _Optional[str] = ..., schedule_to_start_timeout: _Optional[int] = ...) -> None: ...

class TaskProblems(_message.Message):
    __slots__ = ["completed_event_id", "count", "reported", "version"]
    COMPLETED_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    REPORTED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    completed_event_id: int
    count: int
    reported: _containers.RepeatedScalarFieldContainer[str]
    version: int
    def __init__(self, completed_event_id: _Optional[int] = ..., version: _Optional[int] = ..., count: _Optional[int] = ..., reported: _Optional[_Iterable[str]] = ...) -> None: ...

class TaskQueueUserData(_message.Message):
    __slots__ = ["clock_counter", "clock_region", "configs", "task_queue", "wall_clock"]
    class ConfigsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: bytes
        def __init__(self, key: _Optional[int] = ..., value: _Optional[bytes] = ...) -> None: ...
    CLOCK_COUNTER_FIELD_NUMBER: _ClassVar[int]
    CLOCK_REGION_FIELD_NUMBER: _ClassVar[int]
    CONFIGS_FIELD_NUMBER: _ClassVar[int]
    TASK_QUEUE_FIELD_NUMBER: _ClassVar[int]
    WALL_CLOCK_FIELD_NUMBER: _ClassVar[int]
    clock_counter: int
    clock_region: int
    configs: _containers.ScalarMap[int, bytes]
    task_queue: str
    wall_clock: int
    def __init__(self, task_queue: _Optional[str] = ..., wall_clock: _Optional[int] = ..., clock_counter: _Optional[int] = ..., clock_region: _Optional[int] = ..., configs: _Optional[_Mapping[int, bytes]] = ...) -> None: ...

class VersionHistories(_message.Message):
    __slots__ = ["current_index", "histories"]
    CURRENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    HISTORIES_FIELD_NUMBER: _ClassVar[int]
    current_index: int
    histories: _containers.RepeatedCompositeFieldContainer[VersionHistory]
    def __init__(self, current_index: _Optional[int] = ..., histories: _Optional[_Iterable[_Union[VersionHistory, _Mapping]]] = ...) -> None: ...

class VersionHistory(_message.Message):
    __slots__ = ["branch_id", "items"]
    BRANCH_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    branch_id: int
    items: _containers.RepeatedCompositeFieldContainer[VersionHistoryItem]
    def __init__(self, branch_id: _Optional[int] = ..., items: _Optional[_Iterable[_Union[VersionHistoryItem, _Mapping]]] = ...) -> None: ...

class VersionHistoryItem(_message.Message):
    __slots__ = ["event_id", "version"]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    event_id: int
    version: int
    def __init__(self, event_id: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class WorkflowTaskRecord(_message.Message):
    __slots__ = ["attempt", "history_size_suggestion", "identity", "original_scheduled_time", "request_id", "schedule_to_start_timeout", "scheduled_event_id", "scheduled_time", "speculative", "start_to_close_timeout", "started_event_id", "started_time", "sticky", "suggest_continue_as_new", "suggest_reasons", "task_queue", "transient", "version"]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_SIZE_SUGGESTION_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_TO_START_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    SPECULATIVE_FIELD_NUMBER: _ClassVar[int]
    STARTED_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TO_CLOSE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    STICKY_FIELD_NUMBER: _ClassVar[int]
    SUGGEST_CONTINUE_AS_NEW_FIELD_NUMBER: _ClassVar[int]
    SUGGEST_REASONS_FIELD_NUMBER: _ClassVar[int]
    TASK_QUEUE_FIELD_NUMBER: _ClassVar[int]
    TRANSIENT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    history_size_suggestion: int
    identity: str
    original_scheduled_time: int
    request_id: str
    schedule_to_start_timeout: int
    scheduled_event_id: int
    scheduled_time: int
    speculative: bool
    start_to_close_timeout: int
    started_event_id: int
    started_time: int
    sticky: bool
    suggest_continue_as_new: bool
    suggest_reasons: _containers.RepeatedScalarFieldContainer[int]
    task_queue: str
    transient: bool
    version: int
    def __init__(self, version: _Optional[int] = ..., scheduled_event_id: _Optional[int] = ..., started_event_id: _Optional[int] = ..., attempt: _Optional[int] = ..., scheduled_time: _Optional[int] = ..., original_scheduled_time: _Optional[int] = ..., started_time: _Optional[int] = ..., start_to_close_timeout: _Optional[int] = ..., request_id: _Optional[str] = ..., transient: bool = ..., task_queue: _Optional[str] = ..., sticky: bool = ..., schedule_to_start_timeout: _Optional[int] = ..., history_size_suggestion: _Optional[int] = ..., identity: _Optional[str] = ..., suggest_continue_as_new: bool = ..., suggest_reasons: _Optional[_Iterable[int]] = ..., speculative: bool = ...) -> None: ...
