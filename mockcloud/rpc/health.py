"""grpc.health.v1: what probes and `temporal operator cluster health` ask for before they use a server.

The words are those of grpc-go's health server, which the real frontend registers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListResponse

from mockcloud.core.errors import NotFound, ServiceError
from mockcloud.rpc.methods import Context, NamedMethods, guarded, parse

_SERVICE: Final = "grpc.health.v1.Health"


class Health:
    """The health of a server: "" (the server itself) and each of `services` are SERVING until `shut_down`."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = ("", *services)
        self._shutting_down = asyncio.Event()

    def shut_down(self) -> None:
        """Everything is NOT_SERVING from now on; watchers are told."""
        self._shutting_down.set()

    def methods(self) -> NamedMethods:
        """Check, List and Watch for a server."""
        methods = {
            f"/{_SERVICE}/Check": grpc.unary_unary_rpc_method_handler(self._check),
            f"/{_SERVICE}/List": grpc.unary_unary_rpc_method_handler(self._list),
            f"/{_SERVICE}/Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }
        return NamedMethods([_SERVICE], methods.get)

    def _status(self, service: str) -> HealthCheckResponse.ServingStatus.ValueType:
        if service not in self._services:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return (
            HealthCheckResponse.NOT_SERVING if self._shutting_down.is_set() else HealthCheckResponse.SERVING
        )

    async def _check(self, request: bytes, context: Context) -> bytes:
        return await guarded(f"/{_SERVICE}/Check", context, self._checked(request))

    async def _checked(self, request: bytes) -> bytes:
        service = parse(HealthCheckRequest, request).service
        if service not in self._services:
            raise _unknown_service()
        return _told(self._status(service))

    async def _list(self, _request: bytes, _context: Context) -> bytes:
        response = HealthListResponse()
        for service in self._services:
            response.statuses[service].status = self._status(service)
        return bytes(response.SerializeToString())

    async def _watch(self, request: bytes, context: Context) -> None:
        await guarded(f"/{_SERVICE}/Watch", context, self._watched(request, context))

    async def _watched(self, request: bytes, context: Context) -> None:
        """Tells the status, and once more when the server shuts down; ends with the client or the server."""
        service = parse(HealthCheckRequest, request).service
        status = self._status(service)
        await context.write(_told(status))
        await self._shutting_down.wait()
        if self._status(service) != status:
            await context.write(_told(self._status(service)))
        await asyncio.Event().wait()


def _told(status: HealthCheckResponse.ServingStatus.ValueType) -> bytes:
    return bytes(HealthCheckResponse(status=status).SerializeToString())


def _unknown_service() -> ServiceError:
    error = NotFound("unknown service")
    error.detail = None  # grpc-go's, not the frontend's: without a detail
    return error
