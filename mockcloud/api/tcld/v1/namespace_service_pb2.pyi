from google.protobuf import timestamp_pb2 as _timestamp_pb2
from mockcloud.api.tcld.v1 import request_service_pb2 as _request_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

AUTH_METHOD_API_KEY: AuthMethod
AUTH_METHOD_API_KEY_OR_MTLS: AuthMethod
AUTH_METHOD_MTLS: AuthMethod
AUTH_METHOD_RESTRICTED: AuthMethod
AUTH_METHOD_UNSPECIFIED: AuthMethod
DESCRIPTOR: _descriptor.FileDescriptor
REPLICA_MODE_ACTIVE: ReplicaMode
REPLICA_MODE_PASSIVE: ReplicaMode
REPLICA_MODE_UNSPECIFIED: ReplicaMode
REPLICA_STATE_ACTIVATED: ReplicaState
REPLICA_STATE_ACTIVATING: ReplicaState
REPLICA_STATE_ACTIVATION_FAILED: ReplicaState
REPLICA_STATE_DEACTIVATING: ReplicaState
REPLICA_STATE_UNSPECIFIED: ReplicaState
SEARCH_ATTRIBUTE_TYPE_BOOL: SearchAttributeType
SEARCH_ATTRIBUTE_TYPE_DATETIME: SearchAttributeType
SEARCH_ATTRIBUTE_TYPE_DOUBLE: SearchAttributeType
SEARCH_ATTRIBUTE_TYPE_INT: SearchAttributeType
SEARCH_ATTRIBUTE_TYPE_KEYWORD: SearchAttributeType
SEARCH_ATTRIBUTE_TYPE_KEYWORD_LIST: SearchAttributeType
SEARCH_ATTRIBUTE_TYPE_TEXT: SearchAttributeType
SEARCH_ATTRIBUTE_TYPE_UNSPECIFIED: SearchAttributeType

class CertificateFilterSpec(_message.Message):
    __slots__ = ["common_name", "organization", "organizational_unit", "subject_alternative_name"]
    COMMON_NAME_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATIONAL_UNIT_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ALTERNATIVE_NAME_FIELD_NUMBER: _ClassVar[int]
    common_name: str
    organization: str
    organizational_unit: str
    subject_alternative_name: str
    def __init__(self, common_name: _Optional[str] = ..., organization: _Optional[str] = ..., organizational_unit: _Optional[str] = ..., subject_alternative_name: _Optional[str] = ...) -> None: ...

class CodecServerPropertySpec(_message.Message):
    __slots__ = ["custom_error_message", "endpoint", "include_credentials", "pass_access_token"]
    class CustomErrorMessage(_message.Message):
        __slots__ = ["default"]
        class ErrorMessage(_message.Message):
            __slots__ = ["link", "message"]
            LINK_FIELD_NUMBER: _ClassVar[int]
            MESSAGE_FIELD_NUMBER: _ClassVar[int]
            link: str
            message: str
            def __init__(self, message: _Optional[str] = ..., link: _Optional[str] = ...) -> None: ...
        DEFAULT_FIELD_NUMBER: _ClassVar[int]
        default: CodecServerPropertySpec.CustomErrorMessage.ErrorMessage
        def __init__(self, default: _Optional[_Union[CodecServerPropertySpec.CustomErrorMessage.ErrorMessage, _Mapping]] = ...) -> None: ...
    CUSTOM_ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    PASS_ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    custom_error_message: CodecServerPropertySpec.CustomErrorMessage
    endpoint: str
    include_credentials: bool
    pass_access_token: bool
    def __init__(self, endpoint: _Optional[str] = ..., pass_access_token: bool = ..., include_credentials: bool = ..., custom_error_message: _Optional[_Union[CodecServerPropertySpec.CustomErrorMessage, _Mapping]] = ...) -> None: ...

class CreateNamespaceRequest(_message.Message):
    __slots__ = ["namespace", "request_id", "spec", "tags"]
    class TagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    spec: NamespaceSpec
    tags: _containers.ScalarMap[str, str]
    def __init__(self, namespace: _Optional[str] = ..., spec: _Optional[_Union[NamespaceSpec, _Mapping]] = ..., request_id: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CreateNamespaceResponse(_message.Message):
    __slots__ = ["request_status"]
    REQUEST_STATUS_FIELD_NUMBER: _ClassVar[int]
    request_status: _request_service_pb2.RequestStatus
    def __init__(self, request_status: _Optional[_Union[_request_service_pb2.RequestStatus, _Mapping]] = ...) -> None: ...

class DeleteNamespaceRequest(_message.Message):
    __slots__ = ["namespace", "request_id", "resource_version"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    resource_version: str
    def __init__(self, namespace: _Optional[str] = ..., resource_version: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteNamespaceResponse(_message.Message):
    __slots__ = ["request_status"]
    REQUEST_STATUS_FIELD_NUMBER: _ClassVar[int]
    request_status: _request_service_pb2.RequestStatus
    def __init__(self, request_status: _Optional[_Union[_request_service_pb2.RequestStatus, _Mapping]] = ...) -> None: ...

class FailoverNamespaceRequest(_message.Message):
    __slots__ = ["namespace", "request_id", "skip_graceful_failover", "target_region"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SKIP_GRACEFUL_FAILOVER_FIELD_NUMBER: _ClassVar[int]
    TARGET_REGION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    skip_graceful_failover: bool
    target_region: RegionID
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., target_region: _Optional[_Union[RegionID, _Mapping]] = ..., skip_graceful_failover: bool = ...) -> None: ...

class FailoverNamespaceResponse(_message.Message):
    __slots__ = ["request_status"]
    REQUEST_STATUS_FIELD_NUMBER: _ClassVar[int]
    request_status: _request_service_pb2.RequestStatus
    def __init__(self, request_status: _Optional[_Union[_request_service_pb2.RequestStatus, _Mapping]] = ...) -> None: ...

class GetNamespaceRequest(_message.Message):
    __slots__ = ["namespace"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class GetNamespaceResponse(_message.Message):
    __slots__ = ["namespace"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: Namespace
    def __init__(self, namespace: _Optional[_Union[Namespace, _Mapping]] = ...) -> None: ...

class GetNamespacesRequest(_message.Message):
    __slots__ = ["page_size", "page_token"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetNamespacesResponse(_message.Message):
    __slots__ = ["namespaces", "next_page_token"]
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.RepeatedCompositeFieldContainer[Namespace]
    next_page_token: str
    def __init__(self, namespaces: _Optional[_Iterable[_Union[Namespace, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class HighAvailabilitySpec(_message.Message):
    __slots__ = ["disable_managed_failover"]
    DISABLE_MANAGED_FAILOVER_FIELD_NUMBER: _ClassVar[int]
    disable_managed_failover: bool
    def __init__(self, disable_managed_failover: bool = ...) -> None: ...

class LifecycleSpec(_message.Message):
    __slots__ = ["enable_delete_protection"]
    ENABLE_DELETE_PROTECTION_FIELD_NUMBER: _ClassVar[int]
    enable_delete_protection: bool
    def __init__(self, enable_delete_protection: bool = ...) -> None: ...

class ListNamespacesRequest(_message.Message):
    __slots__ = ["page_size", "page_token"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListNamespacesResponse(_message.Message):
    __slots__ = ["namespaces", "next_page_token"]
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, namespaces: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Namespace(_message.Message):
    __slots__ = ["last_modified_time", "namespace", "regions", "request_id", "resource_version", "spec", "state", "tags", "uri"]
    class TagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LAST_MODIFIED_TIME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    last_modified_time: _timestamp_pb2.Timestamp
    namespace: str
    regions: _containers.RepeatedCompositeFieldContainer[NamespaceRegion]
    request_id: str
    resource_version: str
    spec: NamespaceSpec
    state: int
    tags: _containers.ScalarMap[str, str]
    uri: NamespaceURI
    def __init__(self, namespace: _Optional[str] = ..., resource_version: _Optional[str] = ..., spec: _Optional[_Union[NamespaceSpec, _Mapping]] = ..., state: _Optional[int] = ..., request_id: _Optional[str] = ..., last_modified_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., uri: _Optional[_Union[NamespaceURI, _Mapping]] = ..., regions: _Optional[_Iterable[_Union[NamespaceRegion, _Mapping]]] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class NamespaceRegion(_message.Message):
    __slots__ = ["region_id", "replica_mode", "replica_state"]
    REGION_ID_FIELD_NUMBER: _ClassVar[int]
    REPLICA_MODE_FIELD_NUMBER: _ClassVar[int]
    REPLICA_STATE_FIELD_NUMBER: _ClassVar[int]
    region_id: RegionID
    replica_mode: ReplicaMode
    replica_state: ReplicaState
    def __init__(self, region_id: _Optional[_Union[RegionID, _Mapping]] = ..., replica_mode: _Optional[_Union[ReplicaMode, str]] = ..., replica_state: _Optional[_Union[ReplicaState, str]] = ...) -> None: ...

class NamespaceSpec(_message.Message):
    __slots__ = ["accepted_client_ca", "auth_method", "certificate_filters", "codec_spec", "connectivity_rule_ids", "high_availability", "lifecycle", "passive_region_ids", "region_id", "retention_days", "search_attributes"]
    class SearchAttributesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: SearchAttributeType
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[SearchAttributeType, str]] = ...) -> None: ...
    ACCEPTED_CLIENT_CA_FIELD_NUMBER: _ClassVar[int]
    AUTH_METHOD_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FILTERS_FIELD_NUMBER: _ClassVar[int]
    CODEC_SPEC_FIELD_NUMBER: _ClassVar[int]
    CONNECTIVITY_RULE_IDS_FIELD_NUMBER: _ClassVar[int]
    HIGH_AVAILABILITY_FIELD_NUMBER: _ClassVar[int]
    LIFECYCLE_FIELD_NUMBER: _ClassVar[int]
    PASSIVE_REGION_IDS_FIELD_NUMBER: _ClassVar[int]
    REGION_ID_FIELD_NUMBER: _ClassVar[int]
    RETENTION_DAYS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    accepted_client_ca: str
    auth_method: AuthMethod
    certificate_filters: _containers.RepeatedCompositeFieldContainer[CertificateFilterSpec]
    codec_spec: CodecServerPropertySpec
    connectivity_rule_ids: _containers.RepeatedScalarFieldContainer[str]
    high_availability: HighAvailabilitySpec
    lifecycle: LifecycleSpec
    passive_region_ids: _containers.RepeatedCompositeFieldContainer[RegionID]
    region_id: RegionID
    retention_days: int
    search_attributes: _containers.ScalarMap[str, SearchAttributeType]
    def __init__(self, accepted_client_ca: _Optional[str] = ..., retention_days: _Optional[int] = ..., search_attributes: _Optional[_Mapping[str, SearchAttributeType]] = ..., certificate_filters: _Optional[_Iterable[_Union[CertificateFilterSpec, _Mapping]]] = ..., codec_spec: _Optional[_Union[CodecServerPropertySpec, _Mapping]] = ..., auth_method: _Optional[_Union[AuthMethod, str]] = ..., region_id: _Optional[_Union[RegionID, _Mapping]] = ..., lifecycle: _Optional[_Union[LifecycleSpec, _Mapping]] = ..., high_availability: _Optional[_Union[HighAvailabilitySpec, _Mapping]] = ..., passive_region_ids: _Optional[_Iterable[_Union[RegionID, _Mapping]]] = ..., connectivity_rule_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class NamespaceURI(_message.Message):
    __slots__ = ["grpc", "web"]
    GRPC_FIELD_NUMBER: _ClassVar[int]
    WEB_FIELD_NUMBER: _ClassVar[int]
    grpc: str
    web: str
    def __init__(self, web: _Optional[str] = ..., grpc: _Optional[str] = ...) -> None: ...

class RegionID(_message.Message):
    __slots__ = ["name", "provider"]
    class CloudProvider(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    CLOUD_PROVIDER_AWS: RegionID.CloudProvider
    CLOUD_PROVIDER_GCP: RegionID.CloudProvider
    CLOUD_PROVIDER_UNSPECIFIED: RegionID.CloudProvider
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    provider: RegionID.CloudProvider
    def __init__(self, name: _Optional[str] = ..., provider: _Optional[_Union[RegionID.CloudProvider, str]] = ...) -> None: ...

class RenameCustomSearchAttributeRequest(_message.Message):
    __slots__ = ["existing_custom_search_attribute_name", "namespace", "new_custom_search_attribute_name", "request_id", "resource_version"]
    EXISTING_CUSTOM_SEARCH_ATTRIBUTE_NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NEW_CUSTOM_SEARCH_ATTRIBUTE_NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    existing_custom_search_attribute_name: str
    namespace: str
    new_custom_search_attribute_name: str
    request_id: str
    resource_version: str
    def __init__(self, namespace: _Optional[str] = ..., existing_custom_search_attribute_name: _Optional[str] = ..., new_custom_search_attribute_name: _Optional[str] = ..., resource_version: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RenameCustomSearchAttributeResponse(_message.Message):
    __slots__ = ["request_status"]
    REQUEST_STATUS_FIELD_NUMBER: _ClassVar[int]
    request_status: _request_service_pb2.RequestStatus
    def __init__(self, request_status: _Optional[_Union[_request_service_pb2.RequestStatus, _Mapping]] = ...) -> None: ...

class UpdateNamespaceRequest(_message.Message):
    __slots__ = ["namespace", "request_id", "resource_version", "spec"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    resource_version: str
    spec: NamespaceSpec
    def __init__(self, namespace: _Optional[str] = ..., spec: _Optional[_Union[NamespaceSpec, _Mapping]] = ..., resource_version: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateNamespaceResponse(_message.Message):
    __slots__ = ["request_status"]
    REQUEST_STATUS_FIELD_NUMBER: _ClassVar[int]
    request_status: _request_service_pb2.RequestStatus
    def __init__(self, request_status: _Optional[_Union[_request_service_pb2.RequestStatus, _Mapping]] = ...) -> None: ...

class SearchAttributeType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class AuthMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class ReplicaMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class ReplicaState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
