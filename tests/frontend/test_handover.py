"""Calls in HANDOVER: held until the state changes, or refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import Code, NamespaceHandover
from mockcloud.core.limits import Limits
from mockcloud.engine.namespaces import Namespace
from mockcloud.frontend import handover
from mockcloud.frontend.methods import METHODS, WORKFLOW_SERVICE
from mockcloud.frontend.settings import HandoverPolicy

LIMITS = replace(Limits(), handover_hold=100 * times.MILLISECOND)
DESCRIBE = METHODS[f"/{WORKFLOW_SERVICE.full_name}/DescribeWorkflowExecution"]
LIST = METHODS[f"/{WORKFLOW_SERVICE.full_name}/ListWorkflowExecutions"]


def namespace(*, in_handover: bool = True) -> Namespace:
    record = NamespaceRecord(
        id="i", name="orders", active_cluster="A", clusters=["A", "B"], handover=in_handover
    )
    return Namespace(record, "A", Clusters.of(["A", "B"]))


def test_which_calls_are_held() -> None:
    assert handover.held(DESCRIBE, namespace())
    assert not handover.held(LIST, namespace())
    assert not handover.held(DESCRIBE, namespace(in_handover=False))
    assert not handover.held(DESCRIBE, None)


async def test_a_held_call_goes_on_at_the_switch() -> None:
    orders = namespace()
    loop = asyncio.get_running_loop()
    waiting = asyncio.ensure_future(handover.wait(orders, HandoverPolicy.HOLD, loop.time() + 60, LIMITS))
    await asyncio.sleep(0)
    assert not waiting.done()

    record = NamespaceRecord()
    record.CopyFrom(orders.record)
    record.handover, record.active_cluster = False, "B"
    orders._publish(record)

    await asyncio.wait_for(waiting, 1)
    assert not orders.active


async def test_a_call_is_refused_shortly_before_its_deadline() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(NamespaceHandover) as caught:
        await handover.wait(namespace(), HandoverPolicy.HOLD, began + 0.2, LIMITS)
    assert loop.time() - began > 0.09
    assert caught.value.code is Code.UNAVAILABLE
    assert caught.value.message == "Namespace replication in Handover state."
    assert caught.value.detail is None


async def test_a_call_whose_deadline_is_too_near_is_refused_at_once() -> None:
    near = asyncio.get_running_loop().time() + 0.05
    with pytest.raises(NamespaceHandover):
        await handover.wait(namespace(), HandoverPolicy.HOLD, near, LIMITS)


async def test_a_call_without_a_deadline_is_held_for_a_while() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(NamespaceHandover):
        await handover.wait(namespace(), HandoverPolicy.HOLD, None, LIMITS)
    assert loop.time() - began > 0.09


async def test_reject_refuses_at_once() -> None:
    with pytest.raises(NamespaceHandover):
        await asyncio.wait_for(handover.wait(namespace(), HandoverPolicy.REJECT, None, Limits()), 1)
