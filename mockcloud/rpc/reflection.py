"""Server reflection, by which grpcurl and its like find the services and messages of a server.

Served under both names that grpc-go's `reflection.Register` gives it; the messages of v1 and v1alpha are the
same on the wire, and the library has those of v1alpha only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_reflection.v1alpha._async import ReflectionServicer
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from mockcloud.rpc.methods import NamedMethods

_NAMES: Final = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
_HEALTH: Final = "grpc.health.v1.Health"


def reflection(services: Iterable[ServiceDescriptor]) -> NamedMethods:
    """Reflection of `services` and of what every server has besides: health, and reflection itself."""
    servicer = ReflectionServicer([*(service.full_name for service in services), _HEALTH, *_NAMES])
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=ServerReflectionRequest.FromString,
        response_serializer=ServerReflectionResponse.SerializeToString,
    )
    return NamedMethods({f"/{name}/ServerReflectionInfo": handler for name in _NAMES})
