"""What the HTTP port serves. It belongs to the cloud and outlives its control plane: what needs that answers 503 then.

Loaded when the first connection comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from mockcloud.cloud import event_stream, metrics
from mockcloud.control.cloud_ops import CLOUD_SERVICE
from mockcloud.core.errors import ServiceError
from mockcloud.rpc.http_gateway import Gateway, error_response, no_route

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mockcloud.cloud.composition import Cloud


def application(cloud: Cloud) -> ASGIApp:
    """Everything that a cloud serves over HTTP."""
    limit = cloud.settings.limits.message_bytes
    gateway = Gateway(CLOUD_SERVICE, cloud.control.dispatch, cloud.control.refuse, message_bytes=limit)

    async def events(request: Request) -> Response:
        if cloud.guards is not None:
            cloud.guards.admin(request.headers)
        return event_stream.stream(cloud.timeline, request)

    async def scrape(request: Request) -> Response:
        if cloud.guards is not None:
            cloud.guards.metrics(request.headers)
        accept = request.headers.get("accept", "")
        status = await cloud.status_message()
        health = await cloud.inquiries.health()
        queues = await cloud.inquiries.task_queues()
        last_minute = await cloud.inquiries.last_minute()
        text, content_type = metrics.exposition(
            status, health, queues, last_minute, cloud.settings.account, accept
        )
        return Response(text, headers={"content-type": content_type})

    return Starlette(
        routes=[
            Route("/events", events),
            Route("/metrics", scrape),
            Route("/v1/metrics", scrape),  # where Temporal Cloud has it
            Mount("/", gateway),
        ],
        exception_handlers={ServiceError: _refused, HTTPException: _not_routed},
    )


async def _not_routed(_request: Request, _error: Exception) -> Response:
    """What is no path does not come to the gateway: the authority of CONNECT, a whole URL, `*`."""
    return no_route()


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError), "it is registered for these"
    return error_response(error)
