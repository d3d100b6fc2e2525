"""What a handler gets beside its request, and the registry in which a family lists its handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias, TypeVar

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from mockcloud.core import times
from mockcloud.core.limits import Limits
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.region import Region
from mockcloud.frontend.methods import WORKFLOW_SERVICE

# Seconds before its client's deadline at which a long poll ends, so that the empty answer still arrives.
# Real: longPollTailRoom.
TAIL_ROOM: Final = 1.0


class Scope(NamedTuple):
    """One call as its handler sees it."""

    region: Region
    target: Namespace | None  # the namespace of the call; None for those without one
    deadline: float | None  # of the client, in the running loop's time; None: it waits for ever
    client_name: str = ""  # as SDKs name themselves: "temporal-python"

    @property
    def namespace(self) -> Namespace:
        """The namespace of the call; the method must have one."""
        assert self.target is not None, "the method names a namespace"
        return self.target

    @property
    def limits(self) -> Limits:
        return self.region.limits

    @property
    def remaining(self) -> float | None:
        """Seconds until the client's deadline; None: it has none."""
        return None if self.deadline is None else self.deadline - asyncio.get_running_loop().time()

    def long_poll(self, longest: int) -> float:
        """Seconds that a long poll may wait: `longest` (nanoseconds), and not up to the client's deadline."""
        seconds = longest / times.SECOND
        remaining = self.remaining
        return seconds if remaining is None else max(0.0, min(seconds, remaining - TAIL_ROOM))


RequestT = TypeVar("RequestT", bound=Message)
Handler: TypeAlias = Callable[[Scope, Message], Awaitable[Message]]


class Family:
    """The handlers of one file: methods of one service that belong together."""

    def __init__(self, service: ServiceDescriptor = WORKFLOW_SERVICE) -> None:
        self.service: Final = service
        self.handlers: Final[dict[str, Handler]] = {}

    def serves(
        self, request_type: type[RequestT]
    ) -> Callable[
        [Callable[[Scope, RequestT], Awaitable[Message]]], Callable[[Scope, RequestT], Awaitable[Message]]
    ]:
        """Registers the decorated function for the method whose request this is."""
        method = request_type.DESCRIPTOR.name.removesuffix("Request")

        def register(
            handler: Callable[[Scope, RequestT], Awaitable[Message]],
        ) -> Callable[[Scope, RequestT], Awaitable[Message]]:
            async def handle(scope: Scope, request: Message) -> Message:
                assert isinstance(request, request_type), f"a request of {method}"
                return await handler(scope, request)

            assert method not in self.handlers, f"{method} has one handler"
            self.handlers[method] = handle
            return handler

        return register
