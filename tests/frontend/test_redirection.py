"""Which region answers a call, and what a hop to another region carries."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest, SignalWorkflowExecutionRequest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import NamespaceNotActive, Unavailable
from mockcloud.core.limits import Limits
from mockcloud.engine.namespaces import Namespace
from mockcloud.frontend import redirection
from mockcloud.frontend.methods import METHODS, WORKFLOW_SERVICE, Method
from mockcloud.frontend.settings import FrontendSettings, PassivePolls, RedirectionPolicy
from mockcloud.rpc.methods import Call
from mockcloud.rpc.transport import NO_METADATA, Stream

ALL = FrontendSettings()
SELECTED = FrontendSettings(redirection=RedirectionPolicy.SELECTED)
HOLD = FrontendSettings(passive_polls=PassivePolls.HOLD)
ERROR = FrontendSettings(passive_polls=PassivePolls.ERROR)
LOCAL_ONLY = {"xdc-redirection": "false"}
FORWARDED = {"xdc-redirection-api": "true"}


def method(name: str) -> Method:
    return METHODS[f"/{WORKFLOW_SERVICE.full_name}/{name}"]


def passive_namespace() -> Namespace:
    record = NamespaceRecord(
        id="i", name="orders", active_cluster="A", clusters=["A", "B"], failover_version=1
    )
    return Namespace(record, "B", Clusters.of(["A", "B"]))


def switched(namespace: Namespace) -> None:
    record = NamespaceRecord()
    record.CopyFrom(namespace.record)
    record.active_cluster, record.failover_version = "B", 2
    namespace._publish(record)


class Peer:
    """A transport whose only peer answers as told."""

    def __init__(self, answer: bytes | None = b"answer") -> None:
        self.answer = answer
        self.calls: list[tuple[str, str, bytes, Mapping[str, str], float | None]] = []
        self.waiting = asyncio.Event()
        self.given_up = asyncio.Event()
        self.release: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def unary(
        self,
        peer: str,
        method: str,
        request: bytes,
        *,
        metadata: Mapping[str, str] = NO_METADATA,
        timeout: float | None = None,
    ) -> bytes:
        self.calls.append((peer, method, request, metadata, timeout))
        if self.answer is not None:
            return self.answer
        self.waiting.set()
        try:
            return await self.release
        except asyncio.CancelledError:
            self.given_up.set()
            raise

    async def stream(self, peer: str, method: str, *, metadata: Mapping[str, str] = NO_METADATA) -> Stream:
        raise Unavailable("no streams here")

    async def close(self) -> None:
        """Nothing to close."""


def call(of: Method, request: bytes = b"", metadata: Mapping[str, str] = NO_METADATA) -> Call:
    return Call(WORKFLOW_SERVICE.full_name, of.name, of.full_name, request, metadata, 70.0)


@pytest.mark.parametrize(
    ("name", "metadata", "settings", "expected"),
    [
        ("SignalWorkflowExecution", {}, ALL, True),
        ("SignalWorkflowExecution", {}, SELECTED, True),
        ("SignalWorkflowExecution", {"xdc-redirection": "true"}, ALL, True),
        ("SignalWorkflowExecution", {"xdc-redirection": "nonsense"}, ALL, True),
        ("SignalWorkflowExecution", LOCAL_ONLY, ALL, False),
        ("SignalWorkflowExecution", {"xdc-redirection": "0"}, ALL, False),
        ("SignalWorkflowExecution", FORWARDED, ALL, False),
        ("DescribeWorkflowExecution", {}, ALL, True),
        ("DescribeWorkflowExecution", {}, SELECTED, False),
        ("CreateSchedule", {}, ALL, True),
        ("UpdateNamespace", {}, ALL, False),
        ("PollWorkflowTaskQueue", {}, ALL, True),
        ("PollWorkflowTaskQueue", {}, SELECTED, False),
        ("PollWorkflowTaskQueue", {}, HOLD, False),
        ("PollActivityTaskQueue", {}, ERROR, False),
        ("DescribeWorkflowExecution", {}, HOLD, True),
    ],
)
def test_which_calls_go_to_the_active_region(
    name: str, metadata: dict[str, str], settings: FrontendSettings, expected: bool
) -> None:
    assert redirection.may_forward(method(name), metadata, settings, NamespaceRecord()) is expected


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("PollWorkflowTaskQueue", ALL, False),
        ("PollActivityTaskQueue", ALL, False),
        ("DescribeWorkflowExecution", ALL, True),
        ("SignalWorkflowExecution", ALL, True),
        ("PollWorkflowTaskQueue", ERROR, False),
    ],
)
def test_a_namespace_may_keep_its_polls_at_the_passive_region(
    name: str, settings: FrontendSettings, expected: bool
) -> None:
    record = NamespaceRecord(disable_passive_poller_forwarding=True)
    assert redirection.may_forward(method(name), {}, settings, record) is expected
    # It is only about forwarding: a region that refuses polls goes on refusing them.
    assert redirection.passive_polls(ERROR, record) is PassivePolls.ERROR


@pytest.mark.parametrize(
    ("name", "metadata", "settings", "refused"),
    [
        ("PollWorkflowTaskQueue", LOCAL_ONLY, ALL, False),
        ("PollWorkflowTaskQueue", {}, HOLD, False),
        ("PollWorkflowTaskQueue", {}, ERROR, True),
        ("PollActivityTaskQueue", FORWARDED, ALL, True),
        ("DescribeWorkflowExecution", FORWARDED, ALL, True),
        ("DescribeWorkflowExecution", LOCAL_ONLY, ALL, False),
        ("DescribeNamespace", FORWARDED, ALL, False),
    ],
)
def test_what_a_passive_region_refuses(
    name: str, metadata: dict[str, str], settings: FrontendSettings, refused: bool
) -> None:
    namespace = passive_namespace()
    if not refused:
        redirection.refuse_passive(method(name), metadata, settings, namespace)
        return
    with pytest.raises(NamespaceNotActive) as caught:
        redirection.refuse_passive(method(name), metadata, settings, namespace)
    assert caught.value.active_cluster == "A"


async def test_a_forwarded_call_carries_its_bytes_and_the_header_that_ends_loops() -> None:
    peer = Peer()
    signal = method("SignalWorkflowExecution")
    request = SignalWorkflowExecutionRequest(namespace="orders").SerializeToString()
    metadata = {"client-name": "temporal-python", "user-agent": "grpc", "xdc-redirection": "true"}
    deadline = asyncio.get_running_loop().time() + 5

    answer = await redirection.forward(
        call(signal, request, metadata), signal, passive_namespace(), "A", peer, deadline, ALL
    )

    assert answer == b"answer"
    ((region, name, sent, headers, timeout),) = peer.calls
    assert (region, name, sent) == ("A", signal.full_name, request)
    assert headers == {
        "client-name": "temporal-python",
        "xdc-redirection-api": "true",
        "xdc-redirection-source-cell": "B",
        "mockcloud-failover-version": "1",
    }
    assert timeout is not None
    assert 4.5 < timeout <= 5


async def test_a_call_that_is_quicker_than_the_switch_waits_for_it() -> None:
    namespace = passive_namespace()
    waiting = asyncio.ensure_future(
        redirection.news({"mockcloud-failover-version": "2"}, namespace, None, Limits())
    )
    await asyncio.sleep(0)
    assert not waiting.done()

    switched(namespace)

    await waiting


@pytest.mark.parametrize("version", ["1", "0", "", "-2", "²", "9" * 5000])
async def test_what_is_no_news_is_not_waited_for(version: str) -> None:
    waiting = redirection.news({"mockcloud-failover-version": version}, passive_namespace(), None, Limits())

    with pytest.raises(StopIteration):  # it returns without having waited
        waiting.send(None)


async def test_a_switch_that_does_not_arrive_is_waited_for_no_longer_than_a_held_call() -> None:
    limits = Limits(handover_hold=times.MILLISECOND)

    await redirection.news({"mockcloud-failover-version": "2"}, passive_namespace(), None, limits)


async def test_a_poll_that_waits_elsewhere_ends_empty_when_its_region_turns_active() -> None:
    peer, namespace = Peer(answer=None), passive_namespace()
    poll = method("PollWorkflowTaskQueue")
    request = PollWorkflowTaskQueueRequest(namespace="orders").SerializeToString()
    waiting = asyncio.ensure_future(
        redirection.forward(call(poll, request), poll, namespace, "A", peer, None, ALL)
    )
    await peer.waiting.wait()

    switched(namespace)

    assert await waiting == b""
    await peer.given_up.wait()


async def test_a_poll_comes_back_when_polls_are_to_stay_here() -> None:
    peer, namespace = Peer(answer=None), passive_namespace()
    poll = method("PollWorkflowTaskQueue")
    waiting = asyncio.ensure_future(redirection.forward(call(poll), poll, namespace, "A", peer, None, ALL))
    await peer.waiting.wait()

    record = NamespaceRecord()
    record.CopyFrom(namespace.record)
    record.disable_passive_poller_forwarding = True
    namespace._publish(record)

    assert await waiting == b""
    assert not namespace.active


async def test_a_task_that_the_old_region_had_just_handed_out_is_not_thrown_away() -> None:
    peer, namespace = Peer(answer=None), passive_namespace()
    poll = method("PollActivityTaskQueue")
    waiting = asyncio.ensure_future(redirection.forward(call(poll), poll, namespace, "A", peer, None, ALL))
    await peer.waiting.wait()

    switched(namespace)
    asyncio.get_running_loop().call_later(0.02, peer.release.set_result, b"task")

    assert await waiting == b"task"


async def test_a_client_that_vanishes_gives_its_forwarded_poll_up() -> None:
    peer = Peer(answer=None)
    poll = method("PollWorkflowTaskQueue")
    waiting = asyncio.ensure_future(
        redirection.forward(call(poll), poll, passive_namespace(), "A", peer, None, ALL)
    )
    await peer.waiting.wait()

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(peer.given_up.wait(), 1)
