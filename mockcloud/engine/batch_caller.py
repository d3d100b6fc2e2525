"""How the worker of batches calls its region: as a client does, about one namespace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from google.protobuf.message import Message

from mockcloud.engine.namespaces import Namespace

M = TypeVar("M", bound=Message)

Call = Callable[[Namespace, Message], Awaitable[Message]]
"""A call to the region's own frontend, about a namespace; raises its ServiceError."""

IDENTITY: Final = "temporal-sys-batcher"


@dataclass(frozen=True, slots=True)
class Caller:
    """The calls about one namespace."""

    call: Call
    about: Namespace

    @property
    def namespace(self) -> str:
        """Its name."""
        return self.about.name

    async def ask(self, request: Message, kind: type[M]) -> M:
        """The answer, which is of `kind`."""
        return cast("M", await self.call(self.about, request))

    async def tell(self, request: Message) -> None:
        """Call where the answer says nothing."""
        await self.call(self.about, request)
