"""What a call meets whose namespace is in HANDOVER here: it waits for the switch, or is refused.

A held call goes on as soon as the state changes; redirection then looks at the namespace as it is by
then. Calls that only read what a handover does not touch are answered all along (`methods`).

Real: namespace_handover.go.
"""

from __future__ import annotations

import asyncio
from typing import Final

from mockcloud.core import times
from mockcloud.core.errors import NamespaceHandover
from mockcloud.core.limits import Limits
from mockcloud.engine.namespaces import Namespace
from mockcloud.frontend.methods import Method
from mockcloud.frontend.settings import HandoverPolicy

# Seconds before its client's deadline at which a held call is refused (real: ctxTailRoom).
_TAIL_ROOM: Final = 0.1


def held(method: Method, namespace: Namespace | None) -> bool:
    """Whether the call may not be answered here now."""
    return namespace is not None and namespace.handover and not method.answered_in_handover


async def wait(namespace: Namespace, policy: HandoverPolicy, deadline: float | None, limits: Limits) -> None:
    """Hold a call until the namespace has left HANDOVER.

    `deadline` is the client's, in the running loop's time. Raises NamespaceHandover: at once with the policy
    `reject`, else shortly before the deadline, or after the time for which a call without one is held.
    """
    if policy is HandoverPolicy.REJECT:
        raise NamespaceHandover
    loop = asyncio.get_running_loop()
    until = loop.time() + limits.handover_hold / times.SECOND if deadline is None else deadline - _TAIL_ROOM
    try:
        async with asyncio.timeout_at(until):
            await namespace.wait_until(lambda current: not current.handover)
    except TimeoutError:
        raise NamespaceHandover from None
