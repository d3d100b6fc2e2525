"""Where a cloud that was started with a key asks for keys, besides the Cloud Ops API: the admin service, regions, HTTP.

What a key may do is known from the last life of the control plane, so that regions ask for it while that is dead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mockcloud.control import access
from mockcloud.control.identities import Identities
from mockcloud.engine.namespaces import NamespaceRegistry
from mockcloud.frontend import lookup
from mockcloud.frontend.methods import METHODS
from mockcloud.rpc.methods import Call, Dispatch, parse


class Guards:
    """All of them raise Unauthenticated, PermissionDenied or NamespaceNotFound.

    Args:
        identities: who may call; Unavailable before they are known.
        account: of the namespaces.
    """

    def __init__(self, identities: Callable[[], Identities], account: str) -> None:
        self._identities: Final = identities
        self._account: Final = account

    def admin(self, metadata: Mapping[str, str]) -> None:
        """Whether the caller may do what concerns the whole cloud."""
        access.check_admin(self._identities().of(metadata))

    def metrics(self, metadata: Mapping[str, str]) -> None:
        """Whether the caller may read metrics."""
        access.check_metrics(self._identities().of(metadata))

    def region(self, registry: NamespaceRegistry, dispatch: Dispatch) -> Dispatch:
        """`dispatch` of a region's services, for callers who may."""

        async def guarded(call: Call) -> bytes:
            identity = self._identities().of(call.metadata)
            method = METHODS.get(call.full_name)
            if method is not None and not identity.is_admin:
                name = lookup.name_of(method, parse(method.request_type, call.request), registry)
                namespace = f"{name}.{self._account}" if name else ""
                access.check_workflow_call(identity, method.name, namespace, name)
            return await dispatch(call)

        return guarded
