"""`tcld`: what the tool sent, recorded and played again byte for byte.

The calls in tcld_calls.json were recorded between the real tool (v0.17.0 of its sources, with `--server` and
`--insecure`) and this cloud, command by command. Only resource versions are filled in anew, which the tool had read
before.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import GetNamespaceRequest, GetNamespaceResponse
from temporalio.api.cloud.namespace.v1 import Namespace

from mockcloud import MockCloud
from mockcloud.api.tcld.v1 import namespace_service_pb2 as tcld
from mockcloud.api.tcld.v1 import request_service_pb2 as requests
from mockcloud.control.cloud_ops import CLOUD_SERVICE
from mockcloud.control.tcld import SERVICES
from mockcloud.rpc.methods import full_name
from tests.scenarios.stage import until

_FULFILLED = 5
_COMMANDS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "tcld_calls.json").read_text())
_METHODS: dict[str, MethodDescriptor] = {
    full_name(method): method for service in (CLOUD_SERVICE, *SERVICES) for method in service.methods
}
_GET = full_name(CLOUD_SERVICE.methods_by_name["GetNamespace"])
_STATUS = full_name(SERVICES[1].methods_by_name["GetRequestStatus"])


class Tool:
    """A connection as the tool has one."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address)

    async def close(self) -> None:
        await self._channel.close(None)

    async def call(self, method: str, request: bytes, version: str) -> Message:
        metadata = (("temporal-cloud-api-version", version), ("authorization", "Bearer none"))
        answer: bytes = await self._channel.unary_unary(method, None, None)(
            request, metadata=metadata, timeout=10
        )
        return GetMessageClass(_METHODS[method].output_type).FromString(answer)

    async def namespace(self) -> Namespace:
        """As the Cloud Ops API shows it."""
        request = GetNamespaceRequest(namespace="billing.local").SerializeToString()
        answer = await self.call(_GET, request, "")
        assert isinstance(answer, GetNamespaceResponse)
        return answer.namespace

    async def run(self, command: str, number: int = 0) -> Message:
        """Play a command's calls again and wait for its request to be fulfilled; the last answer."""
        found = [each for each in _COMMANDS if each["command"].startswith(command)][number]
        for call in found["calls"]:
            method = call["method"]
            request = GetMessageClass(_METHODS[method].input_type).FromString(bytes.fromhex(call["request"]))
            if "resource_version" in request.DESCRIPTOR.fields_by_name:
                setattr(request, "resource_version", (await self.namespace()).resource_version)  # noqa: B010
            answer = await self.call(method, request.SerializeToString(), call["version"])
        request_id = command_id(found["command"])
        if request_id:
            await until(lambda: self._fulfilled(request_id))
        return answer

    async def _fulfilled(self, request_id: str) -> bool:
        request = requests.GetRequestStatusRequest(request_id=request_id)
        answer = await self.call(_STATUS, request.SerializeToString(), "2025-07-09-00")
        assert isinstance(answer, requests.GetRequestStatusResponse)
        assert answer.request_status.state <= _FULFILLED
        return answer.request_status.state == _FULFILLED


def command_id(command: str) -> str:
    """The request id that a command was given."""
    return command.partition("--request-id ")[2]


@pytest.fixture
async def tool() -> AsyncIterator[Tool]:
    async with MockCloud(namespaces=["default"]) as cloud:
        made = Tool(cloud.cloud_ops)
        yield made
        await made.close()


async def test_a_namespace_from_its_creation_to_its_end(tool: Tool) -> None:
    listed = await tool.run("tcld namespace list")
    assert isinstance(listed, tcld.ListNamespacesResponse)
    assert list(listed.namespaces) == ["default.local"]

    await tool.run("tcld namespace create")
    got = await tool.run("tcld namespace get")
    assert isinstance(got, tcld.GetNamespaceResponse)
    shown = got.namespace
    east = tcld.RegionID(name="us-east-1", provider=tcld.RegionID.CLOUD_PROVIDER_AWS)
    assert (shown.namespace, shown.spec.retention_days, shown.spec.region_id) == ("billing.local", 5, east)
    assert shown.spec.auth_method == tcld.AUTH_METHOD_API_KEY
    assert dict(shown.spec.search_attributes) == {"Customer": tcld.SEARCH_ATTRIBUTE_TYPE_KEYWORD}
    assert shown.spec.HasField("high_availability"), "the tool takes it for granted"
    assert [region.replica_state for region in shown.regions] == [tcld.REPLICA_STATE_ACTIVATED]
    assert dict(shown.tags) == {"team": "pay"}

    await tool.run("tcld namespace add-region")
    await tool.run("tcld namespace retention set")
    await tool.run("tcld namespace search-attributes add")
    await tool.run("tcld namespace search-attributes rename")
    await tool.run("tcld namespace update-high-availability")
    await tool.run("tcld namespace tags upsert")
    await tool.run("tcld namespace lifecycle set", 0)
    protected = await tool.namespace()
    assert protected.spec.lifecycle.enable_delete_protection
    await tool.run("tcld namespace lifecycle set", 1)
    namespace = await tool.namespace()
    assert list(namespace.spec.regions) == ["aws-us-east-1", "aws-us-west-2"]
    assert namespace.spec.retention_days == 9
    assert dict(namespace.spec.search_attributes) == {"Client": 2, "Amount": 4}
    assert namespace.spec.high_availability.disable_managed_failover
    assert namespace.spec.api_key_auth.enabled
    assert not namespace.spec.lifecycle.enable_delete_protection
    assert dict(namespace.tags) == {"team": "pay", "a": "b"}

    await tool.run("tcld namespace failover")
    assert (await tool.namespace()).active_region == "aws-us-west-2"
    await tool.run("tcld namespace delete-region")
    assert list((await tool.namespace()).spec.regions) == ["aws-us-west-2"]
    await tool.run("tcld namespace delete ")
    listed = await tool.run("tcld namespace list", 1)
    assert isinstance(listed, tcld.ListNamespacesResponse)
    assert list(listed.namespaces) == ["default.local"]


async def test_certificates_filters_and_the_codec_server_come_back_as_they_were_sent(tool: Tool) -> None:
    spec = tcld.NamespaceSpec(
        retention_days=5,
        auth_method=tcld.AUTH_METHOD_API_KEY,
        region_id=tcld.RegionID(name="us-east-1", provider=tcld.RegionID.CLOUD_PROVIDER_AWS),
        passive_region_ids=[tcld.RegionID(name="us-west-2", provider=tcld.RegionID.CLOUD_PROVIDER_AWS)],
        certificate_filters=[tcld.CertificateFilterSpec(common_name="worker")],
        codec_spec=tcld.CodecServerPropertySpec(
            endpoint="https://codec.example", pass_access_token=True, include_credentials=True
        ),
    )
    spec.codec_spec.custom_error_message.default.message = "ask them"
    request = tcld.CreateNamespaceRequest(namespace="billing", spec=spec, request_id="c1")
    create = full_name(SERVICES[0].methods_by_name["CreateNamespace"])
    await tool.call(create, request.SerializeToString(), "2025-07-09-00")
    await until(lambda: tool._fulfilled("c1"))
    got = await tool.run("tcld namespace get")

    assert isinstance(got, tcld.GetNamespaceResponse)
    spec.lifecycle.SetInParent()
    spec.high_availability.SetInParent()
    assert got.namespace.spec == spec


async def test_what_is_not_there(tool: Tool) -> None:
    get = full_name(SERVICES[0].methods_by_name["GetNamespace"])
    fail_over = full_name(SERVICES[0].methods_by_name["FailoverNamespace"])
    forced = tcld.FailoverNamespaceRequest(namespace="default", skip_graceful_failover=True)
    for method, request, code in (
        (get, tcld.GetNamespaceRequest(namespace="nobody"), grpc.StatusCode.NOT_FOUND),
        (_STATUS, requests.GetRequestStatusRequest(request_id="none"), grpc.StatusCode.NOT_FOUND),
        (fail_over, forced, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await tool.call(method, request.SerializeToString(), "2025-07-09-00")
        assert caught.value.code() is code
