"""Failing over by itself: each condition by a real fault, the way back, and what keeps a namespace where it is."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import pairwise

import pytest
from google.protobuf import json_format
from temporalio.api.cloud.cloudservice.v1 import (
    GetAsyncOperationRequest,
    GetAuditLogsRequest,
    GetNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.api.cloud.cloudservice.v1 import service_pb2_grpc as cloud_service
from temporalio.client import CloudOperationsClient

from mockcloud import MockCloud
from mockcloud.cloud.facade import Namespace
from mockcloud.cloud.failover_views import Operation
from mockcloud.cloud.settings import CloudSettings
from mockcloud.control.health import ManagedFailover, RegionHealth
from mockcloud.core.errors import StartupError

EAST, WEST = "aws-us-east-1", "aws-us-west-2"
QUICK = ManagedFailover(
    interval=0.05,
    patience=0.4,
    window=0.4,
    failover_after=0.4,
    failback_after=0.6,
    call_latency=0.4,
    database_latency=0.3,
)
SETTINGS = CloudSettings(managed_failover=QUICK, failover_timeout=2.0)

Fault = Callable[[MockCloud], Awaitable[object]]


@pytest.fixture
async def cloud() -> AsyncIterator[MockCloud]:
    async with MockCloud(namespaces=["default", "other"], settings=SETTINGS) as cloud:
        yield cloud


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what nothing announces."""
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def until_active(cloud: MockCloud, namespace: str, region: str) -> None:
    """Return once the namespace is active there and nothing is being done to it."""

    async def there() -> bool:
        status = {each.name: each for each in (await cloud.status()).namespaces}
        running = cloud.call(lambda: cloud.cloud.control.plane.running_operation(namespace))
        return status[namespace].active_region == region and running is None

    await until(there)


async def known_to(cloud: MockCloud, question: Callable[[Mapping[str, RegionHealth]], bool]) -> bool:
    """What the control plane knows of the regions' health."""

    def ask() -> bool:
        managed = cloud.cloud.control.plane._running.managed
        assert managed is not None
        return question(managed._health)

    return cloud.call(ask)


async def failback_region(cloud: MockCloud, namespace: str) -> str:
    (found,) = [each for each in (await cloud.status()).namespaces if each.name == namespace]
    return found.failback_region


def told(operation: Operation) -> tuple[str, str, str, str]:
    assert operation.state == "FULFILLED"
    return operation.trigger, operation.source, operation.region, operation.cause


async def api(cloud: MockCloud) -> cloud_service.CloudServiceStub:
    client = await CloudOperationsClient.connect(target_host=cloud.cloud_ops, tls=False)
    return client.cloud_service  # type: ignore[return-value]  # has the same methods


async def disable(cloud: MockCloud, namespace: str, *, disabled: bool = True) -> None:
    service = await api(cloud)
    known = (await service.get_namespace(GetNamespaceRequest(namespace=namespace))).namespace  # type: ignore[attr-defined]
    known.spec.high_availability.disable_managed_failover = disabled
    update = UpdateNamespaceRequest(
        namespace=namespace, spec=known.spec, resource_version=known.resource_version
    )
    operation = (await service.update_namespace(update)).async_operation  # type: ignore[attr-defined]
    while not operation.HasField("finished_time"):
        await asyncio.sleep(0.01)
        poll = GetAsyncOperationRequest(async_operation_id=operation.id)
        operation = (await service.get_async_operation(poll)).async_operation  # type: ignore[attr-defined]
    assert operation.state == operation.STATE_FULFILLED


async def cut_off(cloud: MockCloud) -> None:
    cloud.link("control", EAST).partition()


async def silent(cloud: MockCloud) -> None:
    cloud.link("control", EAST).pause()


async def dead(cloud: MockCloud) -> None:
    await cloud.region(EAST).kill()


async def slow(cloud: MockCloud) -> None:
    cloud.region(EAST).frontend.delay(1.0)


async def hanging(cloud: MockCloud) -> None:
    cloud.region(EAST).frontend.pause()


async def failing(cloud: MockCloud) -> None:
    cloud.region(EAST).frontend.drop(0.8)


async def slow_disk(cloud: MockCloud) -> None:
    cloud.region(EAST).database.delay(0.6)


async def broken_disk(cloud: MockCloud) -> None:
    cloud.region(EAST).database.partition()


CASES = [
    (cut_off, "unreachable"),
    (silent, "unreachable"),
    (dead, "unreachable"),
    (slow, "slow calls"),
    (hanging, "slow calls"),
    (failing, "failing calls"),
    (slow_disk, "slow database"),
    (broken_disk, "failing database"),
]


async def heal(cloud: MockCloud) -> None:
    cloud.reset_faults()
    if not all(region.up for region in (await cloud.status()).regions):
        await cloud.region(EAST).start()


async def active_elsewhere(cloud: MockCloud, name: str = "default") -> Namespace:
    """The namespace, after a failover that the cloud has made by itself."""
    await cut_off(cloud)
    await until_active(cloud, name, WEST)
    return cloud.namespace(name)


@pytest.mark.parametrize(("fault", "condition"), CASES, ids=[fault.__name__ for fault, _ in CASES])
async def test_a_region_that_is_not_healthy_is_left_and_returned_to(
    cloud: MockCloud, fault: Fault, condition: str
) -> None:
    await fault(cloud)

    for name in ("default", "other"):
        await until_active(cloud, name, WEST)
        (away,) = await cloud.namespace(name).failovers()
        trigger, source, region, cause = told(away)
        assert (trigger, source, region) == ("automatic", EAST, WEST)
        assert cause.startswith(f"{EAST}: ")
        assert condition in cause
        assert away.failback_region == await failback_region(cloud, name) == EAST

    await heal(cloud)

    for name in ("default", "other"):
        await until_active(cloud, name, EAST)
        back, _ = await cloud.namespace(name).failovers()
        assert told(back) == ("failback", WEST, EAST, f"{EAST}: healthy for 0.6 s")
        assert await failback_region(cloud, name) == ""
    assert {region.conditions for region in (await cloud.status()).regions} == {()}
    events = [event.data for event in await cloud.events() if event.kind == "health"]
    assert any(event["region"] == EAST and condition in event["conditions"] for event in events)
    assert {event["region"]: event["conditions"] for event in events}[EAST] == []
    logs = (await (await api(cloud)).get_audit_logs(GetAuditLogsRequest())).logs  # type: ignore[attr-defined]
    entries = [
        (log.principal.type, log.status, json_format.MessageToDict(log.raw_details)["region"])
        for log in logs
        if log.operation == "FailoverNamespace"
    ]
    assert entries == [("temporal", "OK", WEST)] * 2 + [("temporal", "OK", EAST)] * 2
    notifications = [each for each in await cloud.notifications() if each.namespace == "default"]
    assert [each.subject for each in reversed(notifications)] == [
        f"Failover of namespace default to {region} has completed" for region in (WEST, EAST)
    ]
    assert re.search(rf"by Temporal\n(.*\n)*Cause: +{EAST}: .*{condition}", notifications[1].body)


@pytest.mark.serial
@pytest.mark.parametrize(("condition", "fault"), {condition: fault for fault, condition in CASES}.items())
async def test_detection_takes_no_more_than_its_durations_and_a_second(
    cloud: MockCloud, fault: Fault, condition: str
) -> None:
    await until(lambda: known_to(cloud, lambda health: all(region.healthy for region in health.values())))
    begin = time.time()
    await fault(cloud)

    await until_active(cloud, "default", WEST)

    (away,) = await cloud.namespace("default").failovers()
    took = away.started - begin
    window = 0.0 if condition == "unreachable" else QUICK.window
    assert QUICK.failover_after <= took <= QUICK.failover_after + window + 1.0


async def test_nobody_looks_after_a_cloud_by_default(mockcloud: MockCloud) -> None:
    assert mockcloud.call(lambda: mockcloud.cloud.control.plane._running.managed) is None


async def test_who_has_disabled_it_stays(cloud: MockCloud) -> None:
    await disable(cloud, "default")
    await cut_off(cloud)

    await until_active(cloud, "other", WEST)

    assert await cloud.namespace("default").failovers() == []


async def test_without_a_healthy_replica_nothing_moves(cloud: MockCloud) -> None:
    cloud.region(WEST).frontend.drop()
    await until(lambda: known_to(cloud, lambda health: bool(health[WEST].conditions)))
    cloud.region(EAST).frontend.drop()
    await until(lambda: known_to(cloud, lambda health: bool(health[EAST].lasting(time.time_ns()))))
    assert [region.conditions for region in (await cloud.status()).regions] == [("failing calls",)] * 2
    assert await cloud.namespace("default").failovers() == []

    cloud.region(WEST).frontend.heal()

    await until_active(cloud, "default", WEST)


async def test_a_user_who_fails_forward_stays_there(cloud: MockCloud) -> None:
    default = await active_elsewhere(cloud)
    await until_active(cloud, "other", WEST)
    version = (await cloud.status()).namespaces[0].regions[-1].failover_version

    forward = await default.failover(WEST)

    assert (forward.mode, forward.trigger) == ("none", "user")
    assert await failback_region(cloud, "default") == ""
    assert (await cloud.status()).namespaces[0].regions[-1].failover_version == version
    await heal(cloud)
    await until_active(cloud, "other", EAST)
    await until_active(cloud, "default", WEST)
    assert [each.trigger for each in await default.failovers()] == ["user", "automatic"]


async def test_who_disables_it_afterwards_if_only_for_a_moment_stays_there(cloud: MockCloud) -> None:
    default = await active_elsewhere(cloud)
    await until_active(cloud, "other", WEST)

    await disable(cloud, "default")
    await disable(cloud, "default", disabled=False)

    assert await failback_region(cloud, "default") == ""
    await heal(cloud)
    await until_active(cloud, "other", EAST)
    await until_active(cloud, "default", WEST)
    assert [each.trigger for each in await default.failovers()] == ["automatic"]


async def test_what_a_user_has_failed_over_stays_what_temporal_has_comes_back(cloud: MockCloud) -> None:
    default, other = cloud.namespace("default"), cloud.namespace("other")
    by_user = await default.failover(WEST)
    assert (by_user.trigger, by_user.failback_region) == ("user", "")

    by_temporal = await other.failover(WEST, by="temporal")
    assert (by_temporal.trigger, by_temporal.failback_region) == ("temporal", EAST)

    await until_active(cloud, "other", EAST)
    assert [each.trigger for each in await other.failovers()] == ["failback", "temporal"]
    await until_active(cloud, "default", WEST)
    assert [each.trigger for each in await default.failovers()] == ["user"]


async def test_of_a_user_and_the_cloud_the_first_one_wins(cloud: MockCloud) -> None:
    """The user's comes while the cloud's runs, which a link that is cut makes last its two seconds."""
    default = cloud.namespace("default")
    cloud.link(EAST, WEST).partition()
    cloud.region(EAST).frontend.drop(0.9)

    async def begun() -> bool:
        return cloud.call(lambda: cloud.cloud.control.plane.running_operation("default")) is not None

    await until(begun)

    by_user = await default.failover(WEST)

    assert (by_user.state, by_user.mode, by_user.trigger) == ("FULFILLED", "none", "user")
    first, second = reversed(await default.failovers())
    assert (first.trigger, second.id) == ("automatic", by_user.id)
    assert await failback_region(cloud, "default") == "", "a user has said where it shall be"


async def test_a_failback_is_not_forgotten_when_the_control_plane_dies(cloud: MockCloud) -> None:
    default = await active_elsewhere(cloud)
    await cloud.control.kill()
    await heal(cloud)
    await cloud.control.start()
    assert await failback_region(cloud, "default") == EAST

    await until_active(cloud, "default", EAST)

    assert [each.trigger for each in await default.failovers()] == ["failback", "automatic"]


async def test_a_namespace_with_same_region_replication_fails_over_by_itself() -> None:
    cells = [EAST, f"{EAST}#2"]
    async with MockCloud(regions=cells, namespaces=["default"], settings=SETTINGS) as cloud:
        await cloud.region(EAST).kill()
        await until_active(cloud, "default", cells[1])
        (away,) = await cloud.namespace("default").failovers()
        assert told(away) == ("automatic", *cells, f"{EAST}: unreachable")
        assert away.unreplicated is not None


async def test_who_has_fled_twice_returns_to_where_it_began() -> None:
    regions = [EAST, WEST, "gcp-us-central1"]
    async with MockCloud(regions=regions, namespaces=["default"], settings=SETTINGS) as cloud:
        for region, refuge in pairwise(regions):
            await cloud.region(region).kill()
            await until_active(cloud, "default", refuge)
            assert await failback_region(cloud, "default") == EAST
        await cloud.region(WEST).start()
        await cloud.region(EAST).start()

        await until_active(cloud, "default", EAST)

        failovers = await cloud.namespace("default").failovers()
        assert [each.trigger for each in failovers] == ["failback", "automatic", "automatic"]


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_disk_that_hangs_does_not_keep_a_region_alive(end: str) -> None:
    async with MockCloud(namespaces=["default"]) as cloud:
        cloud.region(EAST).database.delay(1000.0)
        client = await cloud.namespace("default").client()
        start = asyncio.create_task(client.start_workflow("any", id="w", task_queue="q"))

        def commits() -> int:
            return cloud.cloud.node(EAST).region.store.meter.sums(0).pending

        async def waits() -> bool:
            return cloud.call(commits) > 0

        await until(waits)
        async with asyncio.timeout(10):
            if end == "kill":
                await cloud.region(EAST).kill()
                cloud.reset_faults()
                await cloud.region(EAST).start()
                await start  # which the SDK has sent again
            else:
                await asyncio.get_running_loop().run_in_executor(None, cloud.stop)
                start.cancel()


@pytest.mark.parametrize(
    "settings",
    [
        CloudSettings(managed_failover=ManagedFailover(interval=0)),
        CloudSettings(managed_failover=ManagedFailover(failover_after=-1)),
        CloudSettings(managed_failover=ManagedFailover(failover_after=math.nan)),
        CloudSettings(managed_failover=ManagedFailover(failback_after=math.inf)),
        CloudSettings(managed_failover=ManagedFailover(window=1.0, call_latency=2.0)),
        CloudSettings(dns_ttl=-1),
        CloudSettings(dns_ttl=math.nan),
        CloudSettings(endpoint_connections=0),
    ],
)
def test_settings_that_make_no_sense(settings: CloudSettings) -> None:
    with pytest.raises(StartupError):
        MockCloud(settings=settings).start()
