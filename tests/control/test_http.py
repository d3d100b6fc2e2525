"""The Cloud Ops API over HTTP, next to what a gRPC client of the same control plane is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import grpc
import httpx
import pytest
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.api.cloud.cloudservice.v1 import FailoverNamespaceRegionRequest, GetNamespacesResponse

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.control.cloud_ops import CLOUD_SERVICE, SERVED
from mockcloud.control.settings import ControlSettings
from mockcloud.core.errors import ServiceError, Unavailable
from mockcloud.rpc.http_gateway import _PATIENCE, Gateway
from mockcloud.rpc.http_routes import Route, Routes
from mockcloud.rpc.http_server import HttpServer
from mockcloud.rpc.methods import Call, full_name, serve_services
from mockcloud.rpc.server import Server
from tests.control.fakes import EAST, WEST, World, world

LIMIT = 4096
FAILOVER = "/cloud/namespaces/orders/failover-region"


class Ways:
    """Both ways to one control plane."""

    def __init__(self, cloud: World, http: httpx.AsyncClient, channel: grpc.aio.Channel) -> None:
        self.cloud = cloud
        self.http = http
        self._channel = channel

    async def over_grpc(self, route: Route, bindings: dict[str, str]) -> tuple[int, str]:
        """Code and message of an RPC with only what its path binds."""
        request = GetMessageClass(route.rpc.input_type)()
        for name, value in bindings.items():
            *parents, leaf = name.split(".")
            at = request
            for parent in parents:
                at = getattr(at, parent)
            setattr(at, leaf, value)
        call: Any = self._channel.unary_unary(full_name(route.rpc), None, None)
        try:
            await call(request.SerializeToString())
        except grpc.aio.AioRpcError as error:
            return error.code().value[0], error.details() or ""
        return 0, ""


@asynccontextmanager
async def ways(directory: Path, settings: ControlSettings | None = None) -> AsyncIterator[Ways]:
    async with world(directory, settings) as cloud:

        async def dispatch(call: Call) -> bytes:
            return await cloud.plane.dispatch(call)

        async def refuse(call: Call, error: ServiceError) -> NoReturn:
            await cloud.plane.refuse(call, error)

        http = HttpServer(lambda: Gateway(CLOUD_SERVICE, dispatch, refuse, message_bytes=LIMIT))
        http.bind("127.0.0.1", 0)
        server = Server([serve_services([CLOUD_SERVICE], dispatch)])
        server.bind()
        await server.start()
        http.start()
        try:
            async with (
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{http.port}") as client,
                grpc.aio.insecure_channel(server.address) as channel,
            ):
                yield Ways(cloud, client, channel)
        finally:
            await http.stop()
            await server.stop(0)


async def refuse(_call: Call, error: ServiceError) -> NoReturn:
    raise error


def fits(answer: httpx.Response, name: str) -> bool:
    """Whether the answer is what the RPC answers."""
    kind = GetMessageClass(CLOUD_SERVICE.methods_by_name[name].output_type)
    json_format.ParseDict(answer.json(), kind())
    return answer.status_code == 200 and answer.headers["content-type"] == "application/json"


async def test_a_failover_with_curl(tmp_path: Path) -> None:
    async with ways(tmp_path) as both:
        asked = {"region": WEST, "asyncOperationId": "op-1"}
        accepted = await both.http.post(FAILOVER, json=asked)
        operation = accepted.json()["asyncOperation"]
        while "finishedTime" not in operation:
            operation = (await both.http.get("/cloud/operations/op-1")).json()["asyncOperation"]
        namespace = (await both.http.get("/cloud/namespaces/orders")).json()["namespace"]
        again = await both.http.post(FAILOVER, json=asked)
        other = await both.http.post(FAILOVER, json=asked | {"region": "aws-us-east-1"})

    assert fits(accepted, "FailoverNamespaceRegion")
    assert operation["state"] == "STATE_FULFILLED"
    assert operation["operationInput"] == {
        "@type": f"type.googleapis.com/{FailoverNamespaceRegionRequest.DESCRIPTOR.full_name}",
        "namespace": "orders",
        **asked,
    }
    assert namespace["activeRegion"] == WEST
    assert again.json()["asyncOperation"]["id"] == "op-1"
    assert (other.status_code, other.json()["code"]) == (409, 6)


async def test_every_rpc_says_over_http_what_it_says_over_grpc(tmp_path: Path) -> None:
    statuses = {0: 200, 3: 400, 5: 404, 9: 400, 12: 501}
    async with ways(tmp_path) as both:
        for route in Routes(CLOUD_SERVICE):
            bindings = dict.fromkeys(route.fields, "nothing")
            path = route.template
            for field in route.fields:
                path = path.replace(f"{{{field}}}", "nothing")
            code, message = await both.over_grpc(route, bindings)
            answer = await both.http.request(route.verb, path)
            assert answer.status_code == statuses[code], route
            if code:
                body = answer.json()
                assert (body["code"], body["message"]) == (code, message), route
                assert isinstance(body["details"], list)
            else:
                assert fits(answer, route.rpc.name)
            if route.rpc.name not in SERVED:
                assert (code, message) == (12, f"method {route.rpc.name} not implemented")


async def test_a_namespace_from_its_creation_to_its_end(tmp_path: Path) -> None:
    async with ways(tmp_path) as both:

        async def ended(answer: httpx.Response) -> None:
            assert answer.status_code == 200, answer.text
            await both.cloud.plane._running.operations.end_of(answer.json()["asyncOperation"]["id"])

        async def version() -> str:
            found: str = (await both.http.get("/cloud/namespaces/billing")).json()["namespace"][
                "resourceVersion"
            ]
            return found

        spec = {"name": "billing", "replicas": [{"region": EAST}, {"region": WEST}], "retentionDays": 7}
        created = await both.http.post("/cloud/namespaces", json={"spec": spec})
        assert created.json()["namespace"] == "billing.local"
        await ended(created)
        update = {"spec": spec | {"retentionDays": 8}, "resourceVersion": await version()}
        await ended(await both.http.post("/cloud/namespaces/billing.local", json=update))
        again = await both.http.post(
            "/cloud/namespaces/billing", json=update | {"resourceVersion": await version()}
        )
        assert (again.status_code, again.json()["message"]) == (400, "nothing to change")
        tags = {"tagsToUpsert": {"a": "b"}}
        await ended(await both.http.post("/cloud/namespaces/billing/update-tags", json=tags))
        region = f"/cloud/namespaces/billing/regions/{WEST}"
        await ended(await both.http.delete(region, params={"resourceVersion": await version()}))
        await ended(
            await both.http.delete("/cloud/namespaces/billing", params={"resourceVersion": await version()})
        )
        assert (await both.http.get("/cloud/namespaces/billing")).status_code == 404


async def test_pages_and_filters_are_parameters(tmp_path: Path) -> None:
    async with ways(tmp_path) as both:
        await both.cloud.plane.tools.create_namespace(admin.CreateNamespaceRequest(name="billing"))
        first = (await both.http.get("/cloud/namespaces", params={"pageSize": "1"})).json()
        query = {"page_size": "1", "pageToken": first["nextPageToken"]}
        second = (await both.http.get("/cloud/namespaces", params=query)).json()
        named = (await both.http.get("/cloud/namespaces?name=orders")).json()

    assert [each["namespace"] for each in first["namespaces"]] == ["billing.local"]
    assert [each["namespace"] for each in second["namespaces"]] == ["orders.local"]
    assert [each["namespace"] for each in named["namespaces"]] == ["orders.local"]
    assert json_format.ParseDict(second, GetNamespacesResponse()).next_page_token == ""


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "code", "message"),
    [
        ("POST", FAILOVER, b"{nope", 400, 3, "the body is not JSON: "),
        ("POST", FAILOVER, b'{"region": "mars-1"}', 400, 3, "region 'mars-1' does not exist"),
        ("POST", FAILOVER, b'{"regio": "x"}', 400, 3, "unknown field 'regio'"),
        ("POST", FAILOVER, b" " * (LIMIT + 1), 413, 8, f"larger than max ({LIMIT + 1} vs. {LIMIT})"),
        ("GET", "/cloud/namespaces?pageSize=-1", b"", 400, 3, "page size must be between"),
        ("GET", "/cloud/namespaces/none", b"", 404, 5, "Namespace none is not found."),
        ("GET", "/cloud/namespaces/a%2Fb", b"", 404, 5, "Namespace a/b is not found."),
        ("GET", "/cloud/moons", b"", 404, 5, "Not Found"),
        ("GET", "/", b"", 404, 5, "Not Found"),
        ("GET", "/cloud/namespaces/", b"", 404, 5, "Not Found"),
        ("PATCH", "/cloud/namespaces/orders", b"", 405, 12, "Method Not Allowed"),
        ("GET", "/cloud/user-groups", b"", 501, 12, "method GetUserGroups not implemented"),
    ],
)
async def test_what_is_refused_changes_nothing(
    tmp_path: Path, verb: str, path: str, body: bytes, status: int, code: int, message: str
) -> None:
    async with ways(tmp_path) as both:
        answer = await both.http.request(verb, path, content=body)
        assert both.cloud.journal == []
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"code", "message", "details"}
    assert answer.json()["code"] == code
    assert message in answer.json()["message"]
    assert ("allow" in answer.headers) == (status == 405)


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"{"
        while sent < 1000 * LIMIT:
            sent += LIMIT
            yield b" " * LIMIT

    async with ways(tmp_path) as both:
        answer = await both.http.post(FAILOVER, content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, 8)


@pytest.mark.parametrize(("offered", "taken"), [(10, 10), (1000, _PATIENCE + 1)])
async def test_what_is_too_long_is_taken_for_a_while_so_that_its_sender_hears_why(
    offered: int, taken: int
) -> None:
    """A client that sends on to where nobody reads is reset, and sees no answer."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < offered:
            sent += 1
            yield b" " * LIMIT

    async def never(call: Call) -> bytes:
        raise AssertionError("it was not dispatched")

    app = Gateway(CLOUD_SERVICE, never, refuse, message_bytes=LIMIT)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        answer = await client.post(FAILOVER, content=body())
    assert (answer.status_code, answer.json()["code"], sent) == (413, 8, taken)


async def test_who_asks_before_sending_too_much_need_not_send_it(tmp_path: Path) -> None:
    async with ways(tmp_path) as both:
        reader, writer = await asyncio.open_connection(both.http.base_url.host, both.http.base_url.port)
        head = (
            f"POST {FAILOVER} HTTP/1.1\r\nhost: here\r\nexpect: 100-continue\r\ncontent-length: {LIMIT + 1}"
        )
        writer.write(head.encode() + b"\r\n\r\n")
        status = await reader.readline()
        writer.close()
    assert status.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("verb", "path", "body", "operation"),
    [
        ("POST", FAILOVER, b"{nope", "FailoverNamespace"),
        ("POST", FAILOVER, b'{"regio": "x"}', "FailoverNamespace"),
        ("POST", FAILOVER, b" " * (LIMIT + 1), "FailoverNamespace"),
        ("DELETE", "/cloud/namespaces/orders?bogus=1", b"", "DeleteNamespaceAPI"),
        ("GET", "/cloud/namespaces?pageSize=x", b"", ""),
        ("POST", "/cloud/nexus/endpoints", b"{nope", ""),
    ],
)
async def test_what_cannot_be_read_is_audited_as_what_is_refused(
    tmp_path: Path, verb: str, path: str, body: bytes, operation: str
) -> None:
    async with ways(tmp_path, ControlSettings(owner_key="key")) as both:
        owner = {"authorization": "Bearer key"}
        refused = await both.http.request(verb, path, content=body, headers=owner)
        unknown = await both.http.request(verb, path, content=body)
        logs = (await both.http.get("/cloud/audit-logs", headers=owner)).json()["logs"]

    assert refused.status_code in {400, 413}
    assert (unknown.status_code, unknown.json()["message"][:18]) == (401, "API key is missing")
    entries = [
        (log["operation"], log["principal"]["id"], log["rawDetails"]["error"])
        for log in logs
        if log["status"] == "ERROR"
    ]
    told = {"code": {3: "INVALID_ARGUMENT", 8: "RESOURCE_EXHAUSTED"}[refused.json()["code"]]}
    if operation:
        assert entries.pop(0) == (operation, "owner", told | {"message": refused.json()["message"]})
    ((_, who, error),) = entries
    assert (who, error["code"]) == ("", "UNAUTHENTICATED")


async def test_a_defect_is_internal_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(call: Call) -> bytes:
        raise LookupError("of the inside")

    app = Gateway(CLOUD_SERVICE, broken, refuse, message_bytes=LIMIT)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        answer = await client.get("/cloud/namespaces")
    assert answer.status_code == 500
    assert answer.json() == {"code": 13, "message": "internal error", "details": []}
    assert "of the inside" in caplog.text


async def test_headers_are_the_metadata_of_the_call() -> None:
    calls = []

    async def note(call: Call) -> bytes:
        calls.append(call)
        raise Unavailable("noted")

    app = Gateway(CLOUD_SERVICE, note, refuse, message_bytes=LIMIT)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        await client.get(
            "/cloud/namespaces",
            headers={"Authorization": "Bearer x", "temporal-cloud-api-version": "v0.15.0"},
        )
    assert calls[0].metadata["authorization"] == "Bearer x"
    assert calls[0].metadata["temporal-cloud-api-version"] == "v0.15.0"
    assert calls[0].full_name == f"/{CLOUD_SERVICE.full_name}/GetNamespaces"


@given(
    verb=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    path=st.sampled_from([route.template for route in Routes(CLOUD_SERVICE)])
    | st.text().map(quote).map("/".__add__),
    body=st.binary(max_size=100)
    | st.dictionaries(st.text(), st.text()).map(lambda v: json.dumps(v).encode()),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_whatever_is_asked_has_an_answer(verb: str, path: str, body: bytes) -> None:
    async def unavailable(call: Call) -> bytes:
        raise Unavailable("no")

    app = Gateway(CLOUD_SERVICE, unavailable, refuse, message_bytes=LIMIT)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        answer = await client.request(verb, path, content=body)
    assert answer.status_code in {400, 404, 405, 503}
    assert set(answer.json()) == {"code", "message", "details"}
