"""Keys at every door of a cloud: Cloud Ops over gRPC and HTTP, the admin service, regions, metrics, events."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from click.testing import CliRunner
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from mockcloud import MockCloud
from mockcloud.cli.main import main
from mockcloud.cloud.settings import CloudSettings
from mockcloud.control.served import CLOUD_SERVICE
from tests.control.fakes import EAST, WEST

KEY = "the-owners-key"
EXPIRY = "2100-01-01T00:00:00Z"


@pytest.fixture
def cloud() -> Iterator[MockCloud]:
    made = MockCloud(namespaces=["orders", "billing"], settings=CloudSettings(api_key=KEY))
    made.start()
    yield made
    made.stop()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def account(http: httpx.AsyncClient, name: str, **access: Any) -> str:
    """A key of a new service account."""
    made = await http.post("/cloud/service-accounts", json={"spec": {"name": name, "access": access}})
    owner = made.json()["serviceAccountId"]
    spec = {"ownerId": owner, "displayName": name, "expiryTime": EXPIRY}
    token: str = (await http.post("/cloud/api-keys", json={"spec": spec})).json()["token"]
    return token


async def test_the_same_refusal_on_both_transports(cloud: MockCloud) -> None:
    method = f"/{CLOUD_SERVICE.full_name}/GetNamespaces"
    for header, code, status in ((None, 16, 401), ("Bearer wrong", 16, 401)):
        metadata = () if header is None else (("authorization", header),)
        async with grpc.aio.insecure_channel(cloud.cloud_ops) as channel:
            call: Any = channel.unary_unary(method, None, None)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"", metadata=metadata)
        async with httpx.AsyncClient(base_url=cloud.http) as http:
            headers = {} if header is None else {"Authorization": header}
            answer = await http.get("/cloud/namespaces", headers=headers)
        assert caught.value.code().value[0] == code
        assert answer.status_code == status
        assert answer.json() == {"code": code, "message": caught.value.details(), "details": []}


def test_strangers_do_not_reach_what_asks_nobody() -> None:
    """Regions talk to each other without keys: not where everybody is listened to. All of 127/8 is this machine."""
    with MockCloud(settings=CloudSettings(host="0.0.0.0", api_key=KEY)) as cloud:
        for region in (EAST, WEST):
            host, port = cloud.asynchronous.cloud.node(region).peer_address.split(":")
            assert host == "127.0.0.1"
            with socket.socket() as stranger:
                assert stranger.connect_ex(("127.0.0.2", int(port))) != 0


async def test_regions_ask_for_permissions(cloud: MockCloud) -> None:
    async with httpx.AsyncClient(base_url=cloud.http, headers=bearer(KEY)) as http:
        reading = {"orders": {"permission": "PERMISSION_READ"}}
        writing = {"orders": {"permission": "PERMISSION_WRITE"}}
        role = {"role": "ROLE_READ"}
        reader = await account(http, "reader", accountAccess=role, namespaceAccesses=reading)
        writer = await account(http, "writer", accountAccess=role, namespaceAccesses=writing)

    async def client(key: str | None, namespace: str = "orders") -> Client:
        endpoint = cloud.namespace(namespace).endpoint
        return await Client.connect(endpoint, namespace=namespace, api_key=key, tls=False)

    with pytest.raises(RuntimeError, match="API key is missing"):
        await client(None)
    with pytest.raises(RuntimeError, match="API key is invalid"):
        await client("wrong")
    handle = await (await client(writer)).start_workflow("any", id="w", task_queue="nobody")
    assert (await handle.describe()).id == "w"
    await cloud.control.kill()  # regions go on to know their callers
    reads = await client(reader)
    assert (await reads.get_workflow_handle("w").describe()).id == "w"
    with pytest.raises(RPCError) as denied:
        await reads.get_workflow_handle("w").signal("go")
    assert (denied.value.status, denied.value.message) == (
        RPCStatusCode.PERMISSION_DENIED,
        "Request unauthorized.",
    )
    hidden = []
    for namespace in ("billing", "nothing"):
        elsewhere = await Client.connect(
            cloud.region(EAST).address, namespace=namespace, api_key=reader, tls=False
        )
        with pytest.raises(RPCError) as caught:
            await elsewhere.get_workflow_handle("w").describe()
        hidden.append((caught.value.status, caught.value.message.replace(namespace, "*")))
    assert hidden[0] == hidden[1]
    owner = await cloud.namespace("billing").client()
    await owner.start_workflow("any", id="w", task_queue="nobody")


async def test_metrics_events_and_tools(cloud: MockCloud) -> None:
    async with httpx.AsyncClient(base_url=cloud.http) as http:
        http.headers.update(bearer(KEY))
        metrics = await account(http, "metrics", accountAccess={"role": "ROLE_METRICS_READ"})
        assert (await http.get("/metrics")).status_code == 200
        assert (await http.get("/metrics", headers=bearer(metrics))).status_code == 200
        refused = await http.get("/events", headers=bearer(metrics))
        assert (refused.status_code, refused.json()["message"]) == (403, "Request unauthorized.")
        assert (await http.get("/cloud/namespaces", headers=bearer(metrics))).status_code == 403
        del http.headers["Authorization"]
        for path in ("/metrics", "/events"):
            assert (await http.get(path)).status_code == 401

    def run(*words: str) -> Any:
        return CliRunner().invoke(main, [*words, "--cloud", cloud.cloud_ops])

    for key, text in (
        ("", "asks for an API key: --api-key, or MOCKCLOUD_API_KEY"),
        (metrics, "Request unauthorized."),
    ):
        result = run("failover", "orders", WEST, "--api-key", key)
        assert result.exit_code == 1
        assert text in result.stderr
    assert run("failover", "orders", WEST, "--api-key", KEY).exit_code == 0
    assert (await cloud.status()).namespaces[1].active_region == WEST
    async with httpx.AsyncClient(base_url=cloud.http, headers=bearer(KEY)) as http:
        logs = (await http.get("/cloud/audit-logs")).json()["logs"]
    failovers = [log for log in logs if log["operation"] == "FailoverNamespace"]
    assert [(log["status"], log["principal"]["name"]) for log in failovers] == [
        ("ERROR", "unknown"),
        ("ERROR", "metrics"),
        ("OK", "owner@local.invalid"),
    ]
    assert failovers[1]["rawDetails"]["error"]["message"] == "Request unauthorized."
