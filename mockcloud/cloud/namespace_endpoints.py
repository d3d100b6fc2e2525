"""The endpoints of all namespaces. They belong to the cloud and outlive its control plane, as DNS would."""

from __future__ import annotations

from collections.abc import Callable

from mockcloud.endpoints.proxy import Address, NamespaceEndpoint


class NamespaceEndpoints:
    """One TCP proxy per namespace, each leading to the public server of the region that it follows.

    Args:
        host: that all endpoints listen on.
        ports: wanted by namespaces that had none before, by name; the others get free ones.
        address: of a region's public server; None while it is down.
    """

    def __init__(self, host: str, ports: dict[str, int], address: Callable[[str], Address | None]) -> None:
        self._host = host
        self._ports = ports
        self._address = address
        self._endpoints: dict[str, NamespaceEndpoint] = {}
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
            endpoint = NamespaceEndpoint(lambda: self._target(namespace), self._host, wanted)
            self._endpoints[namespace] = endpoint
            try:
                await endpoint.start()
            except BaseException:
                del self._endpoints[namespace]
                raise
        return self._host, endpoint.port

    def serve(self) -> None:
        """From now on connections lead to regions; before, they are closed at once.

        Who can connect may count on what the cloud was told to have: namespaces and search attributes.
        """
        self._serving = True

    def follow(self, namespace: str, region: str) -> None:
        """From now on new connections go to `region`."""
        self._followed[namespace] = region

    def address(self, namespace: str) -> str | None:
        """HOST:PORT of a namespace's endpoint; None: it has none."""
        endpoint = self._endpoints.get(namespace)
        return endpoint.address if endpoint is not None else None

    def followed(self, namespace: str) -> str:
        """The region that the endpoint leads to; empty while that is not known."""
        return self._followed.get(namespace, "")

    @property
    def namespaces(self) -> list[str]:
        """Those that have an endpoint, by name."""
        return sorted(self._endpoints)

    async def close(self) -> None:
        """Close all of them."""
        for endpoint in self._endpoints.values():
            await endpoint.close()
        self._endpoints.clear()

    def _target(self, namespace: str) -> Address | None:
        region = self._followed.get(namespace) if self._serving else None
        return self._address(region) if region else None
