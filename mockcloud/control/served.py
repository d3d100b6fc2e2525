"""How handlers of a service's methods are registered: by the type of the request, which is named after the method."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Final, TypeAlias, TypeVar

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud_service

from mockcloud.control.context import Caller
from mockcloud.rpc.methods import parse

S = TypeVar("S")
R = TypeVar("R", bound=Message)

Answer: TypeAlias = Callable[[S, R, Caller], Awaitable[Message]]
Handler: TypeAlias = Callable[[S, bytes, Caller], Awaitable[Message]]

CLOUD_SERVICE: Final[ServiceDescriptor] = cloud_service.DESCRIPTOR.services_by_name["CloudService"]


def serves(served: MutableMapping[str, Handler[S]], kind: type[R]) -> Callable[[Answer[S, R]], Answer[S, R]]:
    """Let a function answer the RPC of the Cloud Ops API whose request is `kind`: it is put into `served`."""

    def register(answer: Answer[S, R]) -> Answer[S, R]:
        async def handle(service: S, raw: bytes, caller: Caller) -> Message:
            return await answer(service, parse(kind, raw), caller)

        name = kind.DESCRIPTOR.name.removesuffix("Request")
        assert name in CLOUD_SERVICE.methods_by_name, f"{name} is a method"
        served[name] = handle
        return answer

    return register
