"""The audit log: what is in it, what is not, and what survives."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.auditlog.v1 import LogRecord
from temporalio.api.cloud.cloudservice.v1 import (
    FailoverNamespaceRegionRequest,
    GetAsyncOperationRequest,
    GetAuditLogsRequest,
    GetAuditLogsResponse,
    GetNamespacesRequest,
    GetUserGroupsRequest,
)

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.control.audit import AuditLog, operation_name
from mockcloud.control.cloud_ops import CLOUD_SERVICE
from mockcloud.control.database import Closed
from mockcloud.control.settings import ControlSettings
from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument, NamespaceNotFound, ServiceError, StartupError
from mockcloud.rpc.methods import Call
from tests.control.fakes import EAST, SOUTH, WEST, Gate, World, world


async def asked(cloud: World, request: Message, **metadata: str) -> bytes:
    """Send a request as the transports do."""
    method = request.DESCRIPTOR.name.removesuffix("Request")
    name = f"/{CLOUD_SERVICE.full_name}/{method}"
    call = Call(
        CLOUD_SERVICE.full_name, method, name, request.SerializeToString(), metadata, None, "ipv4:10.1.2.3:50"
    )
    return await cloud.plane.dispatch(call)


async def entries(cloud: World, **parameters: Any) -> list[LogRecord]:
    """The log but for the namespace that every world is made with."""
    raw = await asked(cloud, GetAuditLogsRequest(**parameters))
    return [log for log in GetAuditLogsResponse.FromString(raw).logs if log.principal.name != "mockcloud"]


def failover(region: str = WEST, operation_id: str = "", namespace: str = "orders") -> Message:
    return FailoverNamespaceRegionRequest(namespace=namespace, region=region, async_operation_id=operation_id)


async def test_an_accepted_operation(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        before = cloud.clock.now()
        await asked(cloud, failover(operation_id="op-1"), **{"x-forwarded-for": "192.0.2.1"})
        (entry,) = await entries(cloud)

        assert (entry.operation, entry.status, entry.version) == ("FailoverNamespace", "OK", 2)
        assert (entry.principal.type, entry.principal.name) == ("user", "anonymous")
        assert entry.async_operation_id == "op-1"
        assert entry.x_forwarded_for == "192.0.2.1, 10.1.2.3"
        assert before <= entry.emit_time.ToNanoseconds() <= cloud.clock.now()
        assert dict(entry.raw_details) == {
            "namespace": "orders",
            "region": WEST,
            "asyncOperationId": "op-1",
        }
        told = [data for kind, data in cloud.told if kind == "audit"]
        assert [each["operation"] for each in told] == ["CreateNamespaceAPI", "FailoverNamespace"]
        assert told[1]["log_id"] == entry.log_id


async def test_the_id_of_an_operation_that_was_made(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        await asked(cloud, failover())
        (entry,) = await entries(cloud)
        await asked(cloud, GetAsyncOperationRequest(async_operation_id=entry.async_operation_id))


@pytest.mark.parametrize(
    ("request_message", "code", "text"),
    [
        (failover(namespace="nobody"), "NOT_FOUND", "Namespace nobody is not found."),
        (failover("mars-1"), "INVALID_ARGUMENT", "region 'mars-1' does not exist"),
        (failover(SOUTH), "INVALID_ARGUMENT", "no replica in region"),
    ],
)
async def test_a_refused_operation(tmp_path: Path, request_message: Message, code: str, text: str) -> None:
    async with world(tmp_path) as cloud:
        with pytest.raises(ServiceError):
            await asked(cloud, request_message)
        (entry,) = await entries(cloud)

        assert (entry.operation, entry.status) == ("FailoverNamespace", "ERROR")
        error: Any = entry.raw_details["error"]
        assert error["code"] == code
        assert text in error["message"]
        assert cloud.journal == [], "nothing was changed"


async def test_what_reads_or_is_not_served_leaves_no_entry(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        await asked(cloud, GetNamespacesRequest())
        for request in (GetUserGroupsRequest(), GetAsyncOperationRequest(async_operation_id="none")):
            with pytest.raises(ServiceError):
                await asked(cloud, request)
        assert await entries(cloud) == []


async def test_what_is_no_message_is_refused_like_anything_else(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        for method in ("FailoverNamespaceRegion", "GetNamespaces", "CreateUserGroup"):
            name = f"/{CLOUD_SERVICE.full_name}/{method}"
            with pytest.raises(ServiceError, match="error unmarshalling request"):
                await cloud.plane.dispatch(Call(CLOUD_SERVICE.full_name, method, name, b"\xff", {}))
        (entry,) = await entries(cloud)
        assert (entry.operation, entry.status, entry.principal.name) == (
            "FailoverNamespace",
            "ERROR",
            "anonymous",
        )
        error = json_format.MessageToDict(entry.raw_details)["error"]
        assert error["code"] == "INTERNAL"


async def test_the_tools_of_this_cloud_are_in_it_too(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        await cloud.plane.failover(
            admin.FailoverRequest(namespace="orders", region=WEST, who="mockcloud failover")
        )
        with pytest.raises(NamespaceNotFound):
            await cloud.plane.failover(admin.FailoverRequest(namespace="none", region=WEST, who="MockCloud"))
        raw = await asked(cloud, GetAuditLogsRequest())
        logs = GetAuditLogsResponse.FromString(raw).logs
        assert [(log.operation, log.principal.name, log.status) for log in logs] == [
            ("CreateNamespaceAPI", "mockcloud", "OK"),
            ("FailoverNamespace", "mockcloud failover", "OK"),
            ("FailoverNamespace", "MockCloud", "ERROR"),
        ]


async def test_an_operation_and_its_entry_are_stored_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = asyncio.Event()

    async def dies(_log: AuditLog, _record: LogRecord) -> None:
        accepted.set()
        await asyncio.Event().wait()

    async with world(tmp_path) as cloud:
        with monkeypatch.context() as patched:
            patched.setattr(AuditLog, "_store", dies)
            asking = asyncio.create_task(asked(cloud, failover(operation_id="op-1")))
            await accepted.wait()
            await cloud.restart()
        asking.cancel()
        (entry,) = await entries(cloud)
        assert entry.async_operation_id == "op-1"


async def test_a_client_that_goes_away_leaves_a_whole_operation(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = cloud.west.hooks["get"] = Gate()
        asking = asyncio.create_task(asked(cloud, failover(operation_id="op-1")))
        await gate.reached.wait()
        asking.cancel()
        await asyncio.wait([asking])
        gate.open()
        await cloud.west.until(lambda record: record.active_cluster == WEST)
        operation = await cloud.plane._running.operations.end_of("op-1")
        assert operation.state == "FULFILLED"
        (entry,) = await entries(cloud)
        assert (entry.status, entry.async_operation_id) == ("OK", "op-1")


async def test_a_control_plane_that_dies_meanwhile_says_so(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = cloud.west.hooks["get"] = Gate()
        asking = asyncio.create_task(asked(cloud, failover(operation_id="op-1")))
        await gate.reached.wait()
        await cloud.restart()
        gate.open()
        with pytest.raises(Closed):
            await asking
        assert await entries(cloud) == [], "it was neither accepted nor refused"


async def test_what_an_operation_starts_by_itself_is_not_its_own(tmp_path: Path) -> None:
    """A task that goes on after a request inherits its context, but not its entry."""
    async with world(tmp_path) as cloud:
        parts = cloud.plane._running
        go_on = asyncio.Event()

        async def later() -> None:
            await go_on.wait()
            back = FailoverNamespaceRegionRequest(namespace="orders", region=EAST, async_operation_id="op-2")
            await parts.failovers.request(back, "failback")

        request = admin.FailoverRequest(namespace="orders", region=WEST)
        async with parts.audit.attempt("FailoverNamespace", LogRecord().principal, request):
            task = asyncio.create_task(later())
        go_on.set()
        await task
        (entry,) = await entries(cloud)
        assert entry.async_operation_id == ""


async def test_entries_come_in_pages_by_time(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        moments = []
        for number in range(5):
            cloud.clock.skip(times.MINUTE)
            moments.append(cloud.clock.now())
            with pytest.raises(ServiceError):
                await asked(cloud, failover(namespace=f"n{number}"))
        token, names = "", []
        while True:
            raw = await asked(cloud, GetAuditLogsRequest(page_size=2, page_token=token))
            page = GetAuditLogsResponse.FromString(raw)
            names += [dict(log.raw_details).get("namespace", "orders") for log in page.logs]
            token = page.next_page_token
            if not token:
                break
            assert len(page.logs) == 2
        span = await entries(
            cloud,
            start_time_inclusive=times.timestamp(moments[1]),
            end_time_exclusive=times.timestamp(moments[3]),
        )

    assert names == ["orders", "n0", "n1", "n2", "n3", "n4"]
    assert [dict(log.raw_details)["namespace"] for log in span] == ["n1", "n2"]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"page_size": 1001}, "page size must be between 1 and 1000"),
        ({"page_size": -1}, "page size must be between 1 and 1000"),
        ({"page_token": "elsewhere"}, "invalid page token"),
        ({"page_token": "٣.x"}, "invalid page token"),
        ({"page_token": "9" * 30 + ".x"}, "invalid page token"),
    ],
)
async def test_bad_pages(tmp_path: Path, parameters: dict[str, Any], text: str) -> None:
    async with world(tmp_path) as cloud:
        with pytest.raises(InvalidArgument, match=text):
            await entries(cloud, **parameters)


async def test_times_at_the_ends_of_the_calendar(tmp_path: Path) -> None:
    first, last = Timestamp(seconds=-62_135_596_800), Timestamp(seconds=253_402_300_799, nanos=999_999_999)
    async with world(tmp_path) as cloud:
        await asked(cloud, failover())
        assert len(await entries(cloud, start_time_inclusive=first, end_time_exclusive=last)) == 1
        assert await entries(cloud, start_time_inclusive=last) == []


async def test_entries_last_thirty_days(tmp_path: Path) -> None:
    everything = Timestamp()
    async with world(tmp_path) as cloud:
        await asked(cloud, failover())
        cloud.clock.skip(29 * times.DAY)
        await cloud.restart()
        assert len(await entries(cloud)) == 1
        cloud.clock.skip(2 * times.DAY)
        assert await entries(cloud) == []
        assert len(await entries(cloud, start_time_inclusive=everything)) == 1
        await cloud.restart()
        assert await entries(cloud, start_time_inclusive=everything) == []


def test_names_are_those_of_the_documentation() -> None:
    names = {method.name: operation_name(method) for method in CLOUD_SERVICE.methods}
    assert names["FailoverNamespaceRegion"] == "FailoverNamespace"
    assert names["UpdateNamespaceTags"] == names["AddNamespaceRegion"] == "UpdateNamespaceAPI"
    assert names["CreateApiKey"] == "CreateAPIKey"
    assert names["CreateNexusEndpoint"] == "CreateNexusEndpoint"
    assert {name for name, operation in names.items() if not operation} == {
        name for name in names if name.startswith("Get")
    }


class TestFile:
    def settings(self, path: Path) -> ControlSettings:
        return ControlSettings(audit_file=path)

    def lines(self, path: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in path.read_text().splitlines()]

    async def test_lines_as_they_come(self, tmp_path: Path) -> None:
        path = tmp_path / "audit.jsonl"
        async with world(tmp_path, self.settings(path)) as cloud:
            await asked(cloud, failover(operation_id="op-1"))
            _, line = self.lines(path)
            (entry,) = await entries(cloud)
        assert line["operation"] == "FailoverNamespace"
        assert line["principal"] == {"type": "user", "id": "owner", "name": "anonymous", "api_key_id": ""}
        assert line["raw_details"]["region"] == WEST
        assert (line["log_id"], line["async_operation_id"]) == (entry.log_id, "op-1")

    async def test_what_a_dying_control_plane_did_not_write_is_written_later(self, tmp_path: Path) -> None:
        path = tmp_path / "audit.jsonl"
        async with world(tmp_path, self.settings(path)) as cloud:
            await asked(cloud, failover(operation_id="op-1"))
            whole = path.read_text()
            first, second = whole.splitlines(keepends=True)
            for cut in (first, first + second[:-5], ""):
                path.write_text(cut)
                await cloud.restart()
                assert path.read_text() == whole
            await cloud.plane._running.operations.end_of("op-1")
            await asked(cloud, failover(EAST, "op-2"))
            assert [line["async_operation_id"] for line in self.lines(path)][1:] == ["op-1", "op-2"]

    async def test_a_file_that_cannot_be_one(self, tmp_path: Path) -> None:
        text = tmp_path / "text"
        text.write_text("a diary\n")
        for path, problem in (
            (tmp_path / "none" / "audit.jsonl", "cannot be written to"),
            (text, "is no audit log"),
        ):
            with pytest.raises(StartupError, match=problem):
                async with world(tmp_path, self.settings(path)):
                    pass
        assert text.read_text() == "a diary\n"

    async def test_a_disk_that_is_full_stops_nothing(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "audit.jsonl"
        async with world(tmp_path, self.settings(path)) as cloud:
            path.unlink()
            path.mkdir()
            await asked(cloud, failover())
            assert len(await entries(cloud)) == 1
        assert "the audit log cannot be written" in caplog.text
