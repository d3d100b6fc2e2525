"""The pytest plugin, used as its users do: async tests, blocking tests, any loop scope, xdist."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mockcloud import MockCloud
from mockcloud.cloud.settings import CloudSettings
from mockcloud.testing import CloudFactory

pytest_plugins = ["pytester"]

EAST, WEST = "aws-us-east-1", "aws-us-west-2"


def refused(address: str) -> bool:
    """Whether nobody listens there."""
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port))).close()
    except ConnectionRefusedError:
        return True
    return False


@workflow.defn
class Waiting:
    """Ends when told to."""

    def __init__(self) -> None:
        self._told = ""

    @workflow.signal
    def tell(self, text: str) -> None:
        self._told = text

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: bool(self._told))
        return self._told


async def test_an_async_test_fails_over_in_the_middle_of_a_workflow(mockcloud: MockCloud) -> None:
    namespace = mockcloud.namespace("default")
    client = await namespace.client()
    async with Worker(
        client, task_queue="q", workflows=[Waiting], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        handle = await client.start_workflow(Waiting.run, id="w", task_queue="q")
        operation = await namespace.failover(WEST)
        await handle.signal(Waiting.tell, "there")
        assert await handle.result() == "there"
    assert (operation.state, operation.mode) == ("FULFILLED", "graceful")


def test_a_blocking_test(mockcloud: MockCloud) -> None:
    cloud = mockcloud.blocking
    operation = cloud.namespace("default").failover(WEST)
    assert operation.state == "FULFILLED"
    (shown,) = cloud.status().namespaces
    assert (shown.name, shown.active_region) == ("default", WEST)

    async def start() -> str:
        client = await cloud.namespace("default").client()
        return (await client.start_workflow("any", id="w", task_queue="q")).id

    assert asyncio.run(start()) == "w"
    cloud.namespace("default").replicated()
    runs = cloud.namespace("default").history("w")
    assert {region: [run.status for run in found] for region, found in runs.items()} == {
        EAST: ["RUNNING"],
        WEST: ["RUNNING"],
    }


@pytest.mark.mockcloud(regions=["gcp-a", "gcp-b", "gcp-c"], namespaces=["orders"])
def test_options_by_the_mark(mockcloud: MockCloud) -> None:
    status = mockcloud.blocking.status()
    assert [region.name for region in status.regions] == ["gcp-a", "gcp-b", "gcp-c"]
    assert [namespace.name for namespace in status.namespaces] == ["orders"]


def test_the_factory_starts_several(mockcloud_factory: CloudFactory, tmp_path: Path) -> None:
    three = mockcloud_factory(regions=["a", "b", "c"]).blocking
    other = mockcloud_factory(data_dir=tmp_path, settings=CloudSettings(failover_timeout=1.0)).blocking

    for region in ("b", "c", "a"):
        assert three.namespace("default").failover(region).state == "FULFILLED"

    assert other.status().namespaces[0].active_region == EAST
    there = {file.name for file in tmp_path.iterdir()}
    assert {"control.sqlite", f"{EAST}.sqlite", f"{WEST}.sqlite"} <= there

    address = other.cloud_ops
    three.stop()
    other.stop()  # and the factory does not mind
    assert refused(address)


OUTSIDE = """
import asyncio

import pytest

seen = set()


@pytest.mark.parametrize("number", range(4))
def test_fresh_each_time(mockcloud, number):
    async def start():
        client = await mockcloud.namespace("default").client()
        await client.start_workflow("any", id="the same", task_queue="q")

    asyncio.run(start())


@pytest.mark.asyncio(loop_scope="module")
async def test_module_loop_one(mockcloud):
    seen.add(asyncio.get_running_loop())
    await mockcloud.namespace("default").failover("aws-us-west-2")


@pytest.mark.asyncio(loop_scope="module")
async def test_module_loop_two(mockcloud):
    status = await mockcloud.status()
    assert status.namespaces[0].active_region == "aws-us-east-1"


@pytest.fixture(scope="module")
def endpoint():
    return []


def test_ends_with_the_test_1(mockcloud, endpoint):
    endpoint.append(mockcloud.namespace("default").endpoint)


def test_ends_with_the_test_2(endpoint):
    import socket

    if endpoint:  # the first one ran in this process
        host, port = endpoint[0].split(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "under xdist"])
def test_in_a_project_of_its_own(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """No line in conftest is needed, and clouds do not disturb each other."""
    pytester.makepyfile(OUTSIDE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers", *arguments)
    result.assert_outcomes(passed=8)


WIDER = """
from pathlib import Path

import pytest
import pytest_asyncio


@pytest.fixture(scope="session")
def shared(mockcloud_factory):
    cloud = mockcloud_factory(regions=["a", "b", "c"])
    Path("endpoint").write_text(cloud.namespace("default").endpoint)
    return cloud


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared):
    return await shared.namespace("default").client()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def session_client(mockcloud_factory):
    with_loop = mockcloud_factory(namespaces=["orders"])
    yield await with_loop.namespace("orders").client()
    with_loop.stop()


@pytest.mark.asyncio(loop_scope="module")
async def test_in_the_loop_of_the_module(client):
    await client.start_workflow("any", id="here", task_queue="q")


@pytest.mark.asyncio(loop_scope="module")
async def test_in_the_same_loop(client, shared):
    assert len((await shared.status()).regions) == 3
    await client.start_workflow("any", id="there", task_queue="q")


@pytest.mark.asyncio(loop_scope="session")
async def test_in_the_loop_of_the_session(session_client):
    await session_client.start_workflow("any", id="w", task_queue="q")


def test_blocking(shared):
    assert shared.blocking.namespace("default").failover("c").state == "FULFILLED"


class TestOfAClass:
    @pytest.fixture(scope="class")
    def own(self, mockcloud_factory):
        cloud = mockcloud_factory()
        yield cloud
        cloud.stop()

    def test_one(self, own):
        own.blocking.create_namespace("made-by-one")

    def test_two(self, own):
        assert "made-by-one" in [namespace.name for namespace in own.blocking.status().namespaces]
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2", "--dist", "loadscope")], ids=["alone", "under xdist"])
def test_clouds_of_a_wider_scope(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    pytester.makepyfile(WIDER)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers", *arguments)
    result.assert_outcomes(passed=6)
    assert refused((pytester.path / "endpoint").read_text()), "it ends with the session"


def test_a_cloud_ends_with_its_test_also_when_that_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_fails(mockcloud):
            print("endpoint", mockcloud.namespace("default").endpoint)
            assert False
        """
    )
    scope = "asyncio_default_fixture_loop_scope=function"
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-o", scope)
    result.assert_outcomes(failed=1)
    line = next(line for line in result.outlines if line.startswith("endpoint "))
    assert refused(line.removeprefix("endpoint "))
