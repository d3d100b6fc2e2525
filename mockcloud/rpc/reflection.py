"""Server reflection, by which grpcurl and its like find the services and messages of a server.

Served under both names that grpc-go's `reflection.Register` gives it; the messages of v1 and v1alpha are the
same on the wire, and the library has those of v1alpha only. It is loaded with the first question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from mockcloud.rpc.methods import NamedMethods

if TYPE_CHECKING:
    from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

_NAMES: Final = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
_HEALTH: Final = "grpc.health.v1.Health"


def reflection(services: Iterable[ServiceDescriptor]) -> NamedMethods:
    """Reflection of `services` and of what every server has besides: health, and reflection itself."""
    names = [*(service.full_name for service in services), _HEALTH, *_NAMES]

    async def answers(
        requests: AsyncIterator[ServerReflectionRequest], context: Any
    ) -> AsyncIterator[ServerReflectionResponse]:
        from grpc_reflection.v1alpha._async import ReflectionServicer

        async for answer in ReflectionServicer(names).ServerReflectionInfo(requests, context):
            yield answer

    handler = grpc.stream_stream_rpc_method_handler(
        answers,
        request_deserializer=_parsed,
        response_serializer=lambda answer: answer.SerializeToString(),
    )
    return NamedMethods(_NAMES, {f"/{name}/ServerReflectionInfo": handler for name in _NAMES}.get)


def _parsed(raw: bytes) -> ServerReflectionRequest:
    from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

    return ServerReflectionRequest.FromString(raw)
