"""The services that `tcld` uses where it does not yet speak the Cloud Ops API: namespaces, and how requests stand.

Each call becomes a call of the Cloud Ops API, which decides; what comes back is told in the tool's own messages. What
these cannot say (`disable_passive_poller_forwarding`, capacity, fairness) is left as it is.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias, TypeVar

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice import v1 as cloud
from temporalio.api.cloud.namespace.v1 import (
    CertificateFilterSpec,
    CodecServerSpec,
    Namespace,
    NamespaceRegionStatus,
    NamespaceSpec,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation

from mockcloud.api.tcld.v1 import namespace_service_pb2 as tcld
from mockcloud.api.tcld.v1 import request_service_pb2 as requests
from mockcloud.control import api_versions
from mockcloud.control.cloud_ops import CLOUD_SERVICE
from mockcloud.core.errors import InvalidArgument, Unimplemented
from mockcloud.rpc.methods import Call, Dispatch, full_name, parse

M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Message)
Handler: TypeAlias = "Callable[[Tcld, Call], Awaitable[Message]]"

SERVICES: Final[tuple[ServiceDescriptor, ...]] = (
    tcld.DESCRIPTOR.services_by_name["NamespaceService"],
    requests.DESCRIPTOR.services_by_name["RequestService"],
)

# The version of the Cloud Ops API that can say what these services can.
_VERSION: Final = "v0.10.0"

_TYPES: Final = NamespaceSpec.SearchAttributeType
_STATES: Final = NamespaceRegionStatus.State
_REPLICA_STATES: Final[Mapping[int, tcld.ReplicaState]] = {
    _STATES.STATE_ADDING: tcld.REPLICA_STATE_ACTIVATING,
    _STATES.STATE_ACTIVE: tcld.REPLICA_STATE_ACTIVATED,
    _STATES.STATE_PASSIVE: tcld.REPLICA_STATE_ACTIVATED,
    _STATES.STATE_REMOVING: tcld.REPLICA_STATE_DEACTIVATING,
    _STATES.STATE_FAILED: tcld.REPLICA_STATE_ACTIVATION_FAILED,
}
_PROVIDERS: Final[Mapping[str, tcld.RegionID.CloudProvider]] = {
    "": tcld.RegionID.CLOUD_PROVIDER_UNSPECIFIED,
    "aws": tcld.RegionID.CLOUD_PROVIDER_AWS,
    "gcp": tcld.RegionID.CLOUD_PROVIDER_GCP,
}
_MTLS: Final = frozenset({tcld.AUTH_METHOD_MTLS, tcld.AUTH_METHOD_API_KEY_OR_MTLS})
_API_KEY: Final = frozenset({tcld.AUTH_METHOD_API_KEY, tcld.AUTH_METHOD_API_KEY_OR_MTLS})

_HANDLERS: Final[dict[str, Handler]] = {}


def _serves(
    kind: type[M],
) -> Callable[[Callable[[Tcld, M, Call], Awaitable[Message]]], Callable[[Tcld, M, Call], Awaitable[Message]]]:
    def register(
        answer: Callable[[Tcld, M, Call], Awaitable[Message]],
    ) -> Callable[[Tcld, M, Call], Awaitable[Message]]:
        async def handle(service: Tcld, call: Call) -> Message:
            return await answer(service, parse(kind, call.request), call)

        _HANDLERS[kind.DESCRIPTOR.name.removesuffix("Request")] = handle
        return answer

    return register


class Tcld:
    """The handlers of these services. `dispatch` of the Cloud Ops API is what they stand before."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._cloud_ops: Final = dispatch

    async def dispatch(self, call: Call) -> bytes:
        """Answer one call. Raises ServiceError."""
        handler = _HANDLERS.get(call.method)
        if handler is None:
            raise Unimplemented(f"method {call.method} not implemented")
        return (await handler(self, call)).SerializeToString()

    async def _ask(self, call: Call, request: Message, answer: type[R]) -> R:
        """Ask the Cloud Ops API in the name of who called."""
        method = CLOUD_SERVICE.methods_by_name[request.DESCRIPTOR.name.removesuffix("Request")]
        assert GetMessageClass(method.output_type) is answer, "request and answer are of one method"
        asked = call._replace(
            service=CLOUD_SERVICE.full_name,
            method=method.name,
            full_name=full_name(method),
            request=request.SerializeToString(),
            metadata={**call.metadata, api_versions.HEADER: _VERSION},
        )
        return answer.FromString(await self._cloud_ops(asked))

    @_serves(tcld.GetNamespaceRequest)
    async def _get(self, request: tcld.GetNamespaceRequest, call: Call) -> Message:
        asked = cloud.GetNamespaceRequest(namespace=request.namespace)
        answer = await self._ask(call, asked, cloud.GetNamespaceResponse)
        return tcld.GetNamespaceResponse(namespace=_namespace(answer.namespace))

    @_serves(tcld.ListNamespacesRequest)
    async def _list(self, request: tcld.ListNamespacesRequest, call: Call) -> Message:
        asked = cloud.GetNamespacesRequest(page_size=request.page_size, page_token=request.page_token)
        answer = await self._ask(call, asked, cloud.GetNamespacesResponse)
        return tcld.ListNamespacesResponse(
            namespaces=[each.namespace for each in answer.namespaces],
            next_page_token=answer.next_page_token,
        )

    @_serves(tcld.GetNamespacesRequest)
    async def _get_all(self, request: tcld.GetNamespacesRequest, call: Call) -> Message:
        asked = cloud.GetNamespacesRequest(page_size=request.page_size, page_token=request.page_token)
        answer = await self._ask(call, asked, cloud.GetNamespacesResponse)
        return tcld.GetNamespacesResponse(
            namespaces=map(_namespace, answer.namespaces), next_page_token=answer.next_page_token
        )

    @_serves(tcld.CreateNamespaceRequest)
    async def _create(self, request: tcld.CreateNamespaceRequest, call: Call) -> Message:
        spec = _spec(request.spec)
        spec.name = request.namespace.partition(".")[0]
        asked = cloud.CreateNamespaceRequest(
            spec=spec, async_operation_id=request.request_id, tags=request.tags
        )
        answer = await self._ask(call, asked, cloud.CreateNamespaceResponse)
        status = _status(answer.async_operation, answer.namespace)
        return tcld.CreateNamespaceResponse(request_status=status)

    @_serves(tcld.UpdateNamespaceRequest)
    async def _update(self, request: tcld.UpdateNamespaceRequest, call: Call) -> Message:
        asked = cloud.UpdateNamespaceRequest(
            namespace=request.namespace,
            spec=_spec(request.spec),
            resource_version=request.resource_version,
            async_operation_id=request.request_id,
        )
        answer = await self._ask(call, asked, cloud.UpdateNamespaceResponse)
        status = _status(answer.async_operation, request.namespace)
        return tcld.UpdateNamespaceResponse(request_status=status)

    @_serves(tcld.RenameCustomSearchAttributeRequest)
    async def _rename(self, request: tcld.RenameCustomSearchAttributeRequest, call: Call) -> Message:
        asked = cloud.RenameCustomSearchAttributeRequest(
            namespace=request.namespace,
            existing_custom_search_attribute_name=request.existing_custom_search_attribute_name,
            new_custom_search_attribute_name=request.new_custom_search_attribute_name,
            resource_version=request.resource_version,
            async_operation_id=request.request_id,
        )
        answer = await self._ask(call, asked, cloud.RenameCustomSearchAttributeResponse)
        status = _status(answer.async_operation, request.namespace)
        return tcld.RenameCustomSearchAttributeResponse(request_status=status)

    @_serves(tcld.DeleteNamespaceRequest)
    async def _delete(self, request: tcld.DeleteNamespaceRequest, call: Call) -> Message:
        asked = cloud.DeleteNamespaceRequest(
            namespace=request.namespace,
            resource_version=request.resource_version,
            async_operation_id=request.request_id,
        )
        answer = await self._ask(call, asked, cloud.DeleteNamespaceResponse)
        status = _status(answer.async_operation, request.namespace)
        return tcld.DeleteNamespaceResponse(request_status=status)

    @_serves(tcld.FailoverNamespaceRequest)
    async def _fail_over(self, request: tcld.FailoverNamespaceRequest, call: Call) -> Message:
        if request.skip_graceful_failover:
            raise InvalidArgument(
                "skip_graceful_failover is not something that the Cloud Ops API can be asked"
            )
        asked = cloud.FailoverNamespaceRegionRequest(
            namespace=request.namespace,
            region=_region(request.target_region),
            async_operation_id=request.request_id,
        )
        answer = await self._ask(call, asked, cloud.FailoverNamespaceRegionResponse)
        status = _status(answer.async_operation, request.namespace)
        return tcld.FailoverNamespaceResponse(request_status=status)

    @_serves(requests.GetRequestStatusRequest)
    async def _request_status(self, request: requests.GetRequestStatusRequest, call: Call) -> Message:
        asked = cloud.GetAsyncOperationRequest(async_operation_id=request.request_id)
        answer = await self._ask(call, asked, cloud.GetAsyncOperationResponse)
        return requests.GetRequestStatusResponse(request_status=_status(answer.async_operation, ""))


def _status(operation: AsyncOperation, namespace: str) -> requests.RequestStatus:
    status = requests.RequestStatus(
        request_id=operation.id,
        state=operation.state,
        check_duration=operation.check_duration,
        operation_type=operation.operation_type,
        resource_id=namespace,
        resource_type="Namespace",
        failure_reason=operation.failure_reason,
        start_time=operation.started_time,
    )
    if operation.HasField("finished_time"):
        status.finish_time.CopyFrom(operation.finished_time)
    return status


def _region(region: tcld.RegionID) -> str:
    """`aws-us-east-1`."""
    provider = next((name for name, number in _PROVIDERS.items() if number == region.provider), "")
    return "-".join(filter(None, (provider, region.name)))


def _region_id(region: str) -> tcld.RegionID:
    provider, _, name = region.partition("-")
    if provider in _PROVIDERS:
        return tcld.RegionID(provider=_PROVIDERS[provider], name=name)
    return tcld.RegionID(name=region)


# The same types by their names: the numbers differ.
_SHOWN_TYPES: Final[Mapping[int, tcld.SearchAttributeType]] = {
    _TYPES.SEARCH_ATTRIBUTE_TYPE_UNSPECIFIED: tcld.SEARCH_ATTRIBUTE_TYPE_UNSPECIFIED,
    _TYPES.SEARCH_ATTRIBUTE_TYPE_TEXT: tcld.SEARCH_ATTRIBUTE_TYPE_TEXT,
    _TYPES.SEARCH_ATTRIBUTE_TYPE_KEYWORD: tcld.SEARCH_ATTRIBUTE_TYPE_KEYWORD,
    _TYPES.SEARCH_ATTRIBUTE_TYPE_INT: tcld.SEARCH_ATTRIBUTE_TYPE_INT,
    _TYPES.SEARCH_ATTRIBUTE_TYPE_DOUBLE: tcld.SEARCH_ATTRIBUTE_TYPE_DOUBLE,
    _TYPES.SEARCH_ATTRIBUTE_TYPE_BOOL: tcld.SEARCH_ATTRIBUTE_TYPE_BOOL,
    _TYPES.SEARCH_ATTRIBUTE_TYPE_DATETIME: tcld.SEARCH_ATTRIBUTE_TYPE_DATETIME,
    _TYPES.SEARCH_ATTRIBUTE_TYPE_KEYWORD_LIST: tcld.SEARCH_ATTRIBUTE_TYPE_KEYWORD_LIST,
}
_SAID_TYPES: Final[Mapping[int, NamespaceSpec.SearchAttributeType.ValueType]] = {
    said: _TYPES.ValueType(number) for number, said in _SHOWN_TYPES.items()
}


def _spec(spec: tcld.NamespaceSpec) -> NamespaceSpec:
    """As the Cloud Ops API has it."""
    made = NamespaceSpec(
        regions=[_region(region) for region in (spec.region_id, *spec.passive_region_ids) if region.name],
        retention_days=spec.retention_days,
        connectivity_rule_ids=spec.connectivity_rule_ids,
    )
    for name, number in spec.search_attributes.items():
        # What is no type is refused by whoever checks the spec.
        made.search_attributes[name] = _SAID_TYPES.get(number, _TYPES.ValueType(0))
    made.mtls_auth.enabled = spec.auth_method in _MTLS
    made.mtls_auth.accepted_client_ca_deprecated = spec.accepted_client_ca
    made.mtls_auth.certificate_filters.extend(
        CertificateFilterSpec.FromString(each.SerializeToString()) for each in spec.certificate_filters
    )
    made.api_key_auth.enabled = spec.auth_method in _API_KEY
    made.codec_server.CopyFrom(_codec_server(spec.codec_spec))
    made.lifecycle.enable_delete_protection = spec.lifecycle.enable_delete_protection
    made.high_availability.disable_managed_failover = spec.high_availability.disable_managed_failover
    return made


def _codec_server(codec: tcld.CodecServerPropertySpec) -> CodecServerSpec:
    made = CodecServerSpec(
        endpoint=codec.endpoint,
        pass_access_token=codec.pass_access_token,
        include_cross_origin_credentials=codec.include_credentials,
    )
    if codec.HasField("custom_error_message"):
        made.custom_error_message.ParseFromString(codec.custom_error_message.SerializeToString())
    return made


def _namespace(namespace: Namespace) -> tcld.Namespace:
    """As the tool has it."""
    spec, active = namespace.spec, namespace.active_region
    passive = [region for region in spec.regions if region != active]
    codec, mtls = spec.codec_server, spec.mtls_auth
    made = tcld.Namespace(
        namespace=namespace.namespace,
        resource_version=namespace.resource_version,
        spec=tcld.NamespaceSpec(
            accepted_client_ca=base64.b64encode(mtls.accepted_client_ca).decode(),
            retention_days=spec.retention_days,
            search_attributes={name: _SHOWN_TYPES[number] for name, number in spec.search_attributes.items()},
            certificate_filters=[
                tcld.CertificateFilterSpec.FromString(each.SerializeToString())
                for each in mtls.certificate_filters
            ],
            codec_spec=tcld.CodecServerPropertySpec(
                endpoint=codec.endpoint,
                pass_access_token=codec.pass_access_token,
                include_credentials=codec.include_cross_origin_credentials,
            ),
            auth_method=_auth_method(spec),
            region_id=_region_id(active),
            lifecycle=tcld.LifecycleSpec(enable_delete_protection=spec.lifecycle.enable_delete_protection),
            high_availability=tcld.HighAvailabilitySpec(
                disable_managed_failover=spec.high_availability.disable_managed_failover
            ),
            passive_region_ids=map(_region_id, passive),
            connectivity_rule_ids=spec.connectivity_rule_ids,
        ),
        state=namespace.state,
        request_id=namespace.async_operation_id,
        uri=tcld.NamespaceURI(
            web=namespace.endpoints.web_address,
            grpc=namespace.endpoints.grpc_address or namespace.endpoints.mtls_grpc_address,
        ),
        regions=[
            tcld.NamespaceRegion(
                region_id=_region_id(region),
                replica_mode=tcld.REPLICA_MODE_ACTIVE if region == active else tcld.REPLICA_MODE_PASSIVE,
                replica_state=_REPLICA_STATES[status.state],
            )
            for region, status in sorted(namespace.region_status.items(), key=lambda each: each[0] != active)
        ],
        tags=namespace.tags,
    )
    if codec.HasField("custom_error_message"):
        made.spec.codec_spec.custom_error_message.ParseFromString(
            codec.custom_error_message.SerializeToString()
        )
    if namespace.HasField("last_modified_time"):
        made.last_modified_time.CopyFrom(namespace.last_modified_time)
    return made


def _auth_method(spec: NamespaceSpec) -> tcld.AuthMethod:
    mtls, api_key = spec.mtls_auth.enabled, spec.api_key_auth.enabled
    if mtls and api_key:
        return tcld.AUTH_METHOD_API_KEY_OR_MTLS
    if mtls:
        return tcld.AUTH_METHOD_MTLS
    return tcld.AUTH_METHOD_API_KEY if api_key else tcld.AUTH_METHOD_UNSPECIFIED
