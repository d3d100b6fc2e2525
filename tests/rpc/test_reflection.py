from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from temporalio.api.operatorservice.v1.service_pb2 import DESCRIPTOR as OPERATOR
from temporalio.api.workflowservice.v1.service_pb2 import DESCRIPTOR as WORKFLOW

from mockcloud.rpc.methods import Call, serve_services
from mockcloud.rpc.reflection import reflection
from tests.rpc.conftest import Connect, Serve

SERVICES = (WORKFLOW.services_by_name["WorkflowService"], OPERATOR.services_by_name["OperatorService"])


async def echo(call: Call) -> bytes:
    return call.request


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_services_and_their_files_are_found(serve: Serve, connect: Connect, version: str) -> None:
    server = await serve([reflection(SERVICES), serve_services(SERVICES, echo)])
    call = connect(server.address, grpc__max_receive_message_length=-1).stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        ServerReflectionRequest.SerializeToString,
        ServerReflectionResponse.FromString,
    )(None, timeout=20)

    await call.write(ServerReflectionRequest(list_services=""))
    listed = await call.read()
    assert isinstance(listed, ServerReflectionResponse)
    await call.write(ServerReflectionRequest(file_containing_symbol=SERVICES[0].full_name))
    found = await call.read()
    assert isinstance(found, ServerReflectionResponse)
    await call.done_writing()

    names = {service.name for service in listed.list_services_response.service}
    assert {SERVICES[0].full_name, SERVICES[1].full_name, "grpc.health.v1.Health"} <= names
    files = [
        FileDescriptorProto.FromString(file) for file in found.file_descriptor_response.file_descriptor_proto
    ]
    (service,) = [file for file in files if file.name == "temporal/api/workflowservice/v1/service.proto"]
    assert "StartWorkflowExecution" in [method.name for method in service.service[0].method]
