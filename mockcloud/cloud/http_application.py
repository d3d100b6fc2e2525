"""What the HTTP port serves. It belongs to the cloud and outlives its control plane: what needs that answers 503 then.

Loaded when the first connection comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from mockcloud.cloud import event_stream
from mockcloud.control.cloud_ops import CLOUD_SERVICE
from mockcloud.rpc.http_gateway import Gateway

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mockcloud.cloud.composition import Cloud


def application(cloud: Cloud) -> ASGIApp:
    """Everything that a cloud serves over HTTP."""
    limit = cloud.settings.limits.message_bytes
    gateway = Gateway(CLOUD_SERVICE, cloud.control.dispatch, message_bytes=limit)

    async def events(request: Request) -> Response:
        return event_stream.stream(cloud.timeline, request)

    return Starlette(routes=[Route("/events", events), Mount("/", gateway)])
