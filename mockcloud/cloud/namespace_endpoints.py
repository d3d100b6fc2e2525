"""The endpoints of all namespaces. They belong to the cloud and outlive its control plane, as DNS would."""

from __future__ import annotations

import time
from collections.abc import Callable

from mockcloud.endpoints.proxy import Address, Endpoint
from mockcloud.endpoints.resolver import Resolver


class NamespaceEndpoints:
    """One TCP proxy per namespace, each leading to the public server of the region that it follows.

    Args:
        make: an endpoint of that name, leading to a target, on a wanted port (0: a free one).
        ports: wanted by namespaces that had none before, by name; the others get free ones.
        address: of a region's public server; None while it is down.
        ttl: seconds for which clients go on believing that a namespace is where it was.
    """

    def __init__(
        self,
        make: Callable[[str, Callable[[], Address | None], int], Endpoint],
        ports: dict[str, int],
        address: Callable[[str], Address | None],
        ttl: float,
    ) -> None:
        self._make = make
        self._ports = ports
        self._address = address
        self._ttl = ttl
        self._endpoints: dict[str, Endpoint] = {}
        self._resolvers: dict[str, Resolver] = {}
        self._followed: dict[str, str] = {}
        self._serving = False

    async def open(self, namespace: str, port: int | None) -> tuple[str, int]:
        """Open the endpoint of a namespace, or find it open; its host and port.

        Raises:
            StartupError: the port is taken.
        """
        endpoint = self._endpoints.get(namespace)
        if endpoint is None:
            wanted = self._ports.get(namespace, 0) or port or 0
            resolver = Resolver(self._ttl, time.monotonic)
            endpoint = self._make(namespace, lambda: self._target(namespace, resolver), wanted)
            self._endpoints[namespace] = endpoint
            self._resolvers[namespace] = resolver
            try:
                await endpoint.start()
            except BaseException:
                del self._endpoints[namespace], self._resolvers[namespace]
                raise
        return endpoint.host, endpoint.port

    def serve(self) -> None:
        """From now on connections lead to regions; before, they are closed at once.

        Who can connect may count on what the cloud was told to have: namespaces and search attributes.
        """
        self._serving = True

    def follow(self, namespace: str, region: str) -> None:
        """`region` stands in the DNS from now on: new connections go there once their resolver has heard of it."""
        self._followed[namespace] = region

    def leave(self, namespace: str, region: str) -> None:
        """The namespace is not in `region` any more: nobody is led there, and who was has to connect anew."""
        endpoint, address = self._endpoints.get(namespace), self._address(region)
        if endpoint is None:
            return
        self._resolvers[namespace].forget(region)
        if address is not None:
            endpoint.leave(address)

    def address(self, namespace: str) -> str | None:
        """HOST:PORT of a namespace's endpoint; None: it has none."""
        endpoint = self._endpoints.get(namespace)
        return endpoint.address if endpoint is not None else None

    def followed(self, namespace: str) -> str:
        """The region that stands in the DNS; empty while that is not known."""
        return self._followed.get(namespace, "")

    @property
    def namespaces(self) -> list[str]:
        """Those that have an endpoint, by name."""
        return sorted(self._endpoints)

    async def close(self, namespace: str) -> None:
        """Close the endpoint of a namespace that is deleted; none: nothing."""
        endpoint = self._endpoints.pop(namespace, None)
        self._resolvers.pop(namespace, None)
        self._followed.pop(namespace, None)
        if endpoint is not None:
            await endpoint.close()

    async def close_all(self) -> None:
        """Close all of them."""
        for endpoint in self._endpoints.values():
            await endpoint.close()
        self._endpoints.clear()
        self._resolvers.clear()

    def _target(self, namespace: str, resolver: Resolver) -> Address | None:
        region = resolver.resolve(self._followed.get(namespace, "")) if self._serving else ""
        return self._address(region) if region else None
