"""Which region answers a call: this one, or the namespace's active one, to which it is then forwarded.

A forwarded call carries a header and is never forwarded again: where it meets a namespace that is not active
it gets NamespaceNotActive, polls and reads included, and the region that sent it sends it once more, to the
region that the error names. So no call can loop. Nothing here parses a request: what goes on is the bytes
that came in.

A switch is news in one region first. A call that is sent on because of it may be quicker than the news, so it carries
the failover version that sent it, and waits for that one where it arrives. (In the real server no region notices a
switch before its next refresh of the namespaces, and by then the other has heard of it, mostly.)

Real: common/rpc/interceptor, redirection.go and dc_redirection_policy.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from typing import Final

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times
from mockcloud.core.limits import Limits
from mockcloud.engine.namespaces import Namespace
from mockcloud.frontend.methods import Method, Routing
from mockcloud.frontend.settings import FrontendSettings, PassivePolls, RedirectionPolicy
from mockcloud.rpc.methods import Call
from mockcloud.rpc.transport import Transport

ALLOWED_HEADER: Final = "xdc-redirection"
FORWARDED_HEADER: Final = "xdc-redirection-api"
SOURCE_HEADER: Final = "xdc-redirection-source-cell"
VERSION_HEADER: Final = "mockcloud-failover-version"

# Headers of a call that its hop to another region makes anew.
_OF_THE_HOP: Final = frozenset(
    {
        "content-type",
        "te",
        "user-agent",
        "grpc-timeout",
        "grpc-accept-encoding",
        ALLOWED_HEADER,
        VERSION_HEADER,
    }
)

_VERSION: Final = re.compile(r"[0-9]{1,18}\Z")

# Spellings of false that Go's strconv.ParseBool knows; anything else leaves redirection on.
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})

_LAST_WORD: Final = (
    0.25  # seconds that a region which has just lost a namespace has to end the polls forwarded to it
)


def forwarded(metadata: Mapping[str, str]) -> bool:
    """Whether another region sent the call on to this one."""
    return metadata.get(FORWARDED_HEADER) == "true"


def allowed(method: Method, metadata: Mapping[str, str]) -> bool:
    """Whether redirection looks at the call: the method is no local one, and the client did not forbid it."""
    return method.routing is not Routing.LOCAL and metadata.get(ALLOWED_HEADER) not in _FALSE


def may_forward(
    method: Method, metadata: Mapping[str, str], settings: FrontendSettings, record: NamespaceRecord
) -> bool:
    """Whether the call goes to the active region, and again where that turns out to be another one."""
    if not allowed(method, metadata) or forwarded(metadata):
        return False
    if method.routing is Routing.SELECTED:
        return True
    if settings.redirection is RedirectionPolicy.SELECTED:
        return False
    return not method.poll or passive_polls(settings, record) is PassivePolls.FORWARD


def passive_polls(settings: FrontendSettings, record: NamespaceRecord) -> PassivePolls:
    """What becomes of a poll at the passive region. A namespace may keep there what the region would forward."""
    stays = record.disable_passive_poller_forwarding and settings.passive_polls is PassivePolls.FORWARD
    return settings.unforwarded_polls if stays else settings.passive_polls


def refuse_passive(
    method: Method, metadata: Mapping[str, str], settings: FrontendSettings, namespace: Namespace
) -> None:
    """Raise NamespaceNotActive for what the passive region may not answer by itself.

    That is whatever was forwarded here, and, where the settings say so, a poll. Writes find out themselves.
    """
    if namespace.active or method.routing is Routing.LOCAL:
        return
    if forwarded(metadata) or (
        method.poll and passive_polls(settings, namespace.record) is PassivePolls.ERROR
    ):
        namespace.require_active()


async def news(
    metadata: Mapping[str, str], namespace: Namespace, deadline: float | None, limits: Limits
) -> None:
    """Wait until the switch is known here that made another region send the call on, but not for ever."""
    version = metadata.get(VERSION_HEADER, "")
    if not _VERSION.match(version) or namespace.record.failover_version >= int(version):
        return
    until = asyncio.get_running_loop().time() + limits.handover_hold / times.SECOND
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until if deadline is None else min(until, deadline)):
            await namespace.wait_until(lambda current: current.record.failover_version >= int(version))


async def forward(
    call: Call,
    method: Method,
    namespace: Namespace,
    target: str,
    transport: Transport,
    deadline: float | None,
    settings: FrontendSettings,
) -> bytes:
    """Have `target` answer the call. A poll ends empty when this region turns active, or polls are to stay here.

    Raises what the other region answered; Unavailable where it cannot be reached.
    """
    loop = asyncio.get_running_loop()
    metadata = {key: value for key, value in call.metadata.items() if key not in _OF_THE_HOP}
    metadata[FORWARDED_HEADER] = "true"
    metadata[SOURCE_HEADER] = namespace.region
    metadata[VERSION_HEADER] = str(namespace.record.failover_version)
    timeout = None if deadline is None else max(0.0, deadline - loop.time())
    answer = transport.unary(target, method.full_name, call.request, metadata=metadata, timeout=timeout)
    if not method.poll:
        return await answer
    return await _while_elsewhere(asyncio.ensure_future(answer), namespace, settings)


async def _while_elsewhere(
    answer: asyncio.Future[bytes], namespace: Namespace, settings: FrontendSettings
) -> bytes:
    """The answer of a poll that waits elsewhere, or an empty one once polls are answered here.

    The other region ends its polls as well when it learns of a switch. It gets a moment to do so: what it
    had handed out just before must not be thrown away.
    """

    def here(current: Namespace) -> bool:
        return current.active or passive_polls(settings, current.record) is not PassivePolls.FORWARD

    active: asyncio.Future[None] = asyncio.ensure_future(namespace.wait_until(here))
    either: set[asyncio.Future[bytes] | asyncio.Future[None]] = {answer, active}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            await asyncio.wait({answer}, timeout=_LAST_WORD)
        return await answer if answer.done() else b""
    finally:
        active.cancel()
        answer.cancel()
