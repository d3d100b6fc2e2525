"""The HTTP port of a cloud: when its server is loaded, what it outlives, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import subprocess
import sys

import httpx
import pytest

from mockcloud import MockCloud

_LAZY = """
import sys, httpx
from mockcloud import MockCloud
with MockCloud() as cloud:
    before = {"uvicorn", "starlette"} & set(sys.modules)
    status = httpx.get(f"{cloud.http}/cloud/regions").status_code
    after = {"uvicorn", "starlette"} & set(sys.modules)
print(sorted(before), status, sorted(after))
"""


def test_the_server_is_loaded_by_its_first_connection() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _LAZY], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip() == "[] 200 ['starlette', 'uvicorn']"


async def test_it_outlives_the_control_plane(mockcloud: MockCloud) -> None:
    async with httpx.AsyncClient(base_url=mockcloud.http) as client:
        assert (await client.get("/cloud/namespaces/default")).status_code == 200
        await mockcloud.control.kill()
        dead = await client.get("/cloud/namespaces/default")
        unknown = await client.get("/cloud/moons")
        await mockcloud.control.start()
        alive = await client.get("/cloud/namespaces/default")

    assert dead.status_code == 503
    assert dead.json() == {"code": 14, "message": "the control plane is down", "details": []}
    assert unknown.status_code == 404
    assert alive.json()["namespace"]["spec"]["name"] == "default"


@pytest.mark.parametrize("line", ["CONNECT x:443", "OPTIONS *", "GET http://x/cloud/regions", "POST /events"])
async def test_what_no_route_takes(mockcloud: MockCloud, line: str) -> None:
    url = httpx.URL(mockcloud.http)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    assert head.startswith("HTTP/1.1 404 ")
    assert "\r\ncontent-type: application/json" in head
    assert json.loads(body) == {"code": 5, "message": "Not Found", "details": []}


def test_a_cloud_ends_beside_idle_and_half_open_connections(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with MockCloud() as cloud, httpx.Client(base_url=cloud.http) as client:
        client.get("/cloud/regions")
        url = httpx.URL(cloud.http)
        half = socket.create_connection((url.host, url.port or 0))
        half.sendall(b"POST /cloud/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    with half, contextlib.suppress(ConnectionResetError):
        assert half.recv(1) == b"", "the server has closed it"
    assert not caplog.records
