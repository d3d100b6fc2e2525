"""The write path: fences, replies, failures, and who may see what when."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import ReplicationState, WorkflowIdConflictPolicy
from temporalio.api.workflowservice.v1 import SignalWithStartWorkflowExecutionRequest, UpdateNamespaceRequest

from mockcloud.core.change import RunChange
from mockcloud.core.errors import (
    InvalidArgument,
    NamespaceHandover,
    NamespaceNotActive,
    NotFound,
    Unavailable,
)
from mockcloud.core.run import RunKey
from mockcloud.engine.plans import Loaded, Replicated
from mockcloud.engine.replicated import Plan
from mockcloud.store import log, runs

from .support import A, B, Driver, close, fail_over, register, running, set_state

HANDOVER = ReplicationState.REPLICATION_STATE_HANDOVER
NORMAL = ReplicationState.REPLICATION_STATE_NORMAL


async def test_an_unknown_workflow_is_not_found(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        with pytest.raises(NotFound, match="workflow not found for ID: nobody"):
            await driver.signal("nobody")
        await driver.start()
        with pytest.raises(NotFound, match="workflow execution not found"):
            await driver.signal(run_id="0197a5c2-0000-7000-8000-000000000000")


async def test_a_rule_that_fails_halfway_leaves_no_trace(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        before = await driver.events()

        def rule(change: RunChange) -> None:
            change.run.record.signal_request_ids.append("half")
            change.touch()
            raise InvalidArgument("no")

        with pytest.raises(InvalidArgument):
            await region.changes.update(driver.namespace, "order-1", "", rule)
        ids = await region.changes.read(
            driver.namespace, "order-1", "", lambda run: list(run.record.signal_request_ids)
        )
        assert ids == []
        assert await driver.events() == before


async def test_an_error_as_reply_is_raised_after_the_commit(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()

        def rule(change: RunChange) -> InvalidArgument:
            change.run.record.signal_request_ids.append("kept")
            change.touch()
            return InvalidArgument("said afterwards")

        with pytest.raises(InvalidArgument, match="said afterwards"):
            await region.changes.update(driver.namespace, "order-1", "", rule)
        key = await region.changes.read(driver.namespace, "order-1", "", lambda run: run.key)
        region.runs.drop(key)
        ids = await region.changes.read(
            driver.namespace, "order-1", "", lambda run: list(run.record.signal_request_ids)
        )
        assert ids == ["kept"]


async def test_a_failed_commit_drops_the_run_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        before = await driver.names()

        def broken(connection: sqlite3.Connection, write: runs.RunWrite) -> None:
            raise sqlite3.OperationalError("disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(runs, "write_run", broken)
            with pytest.raises(Unavailable):
                await driver.signal()
        assert await driver.names() == before
        await driver.signal()
        assert await driver.names() == [*before, "WorkflowExecutionSignaled"]


async def test_a_caller_that_vanishes_leaves_memory_and_disk_the_same(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        calls = [asyncio.ensure_future(driver.signal()) for _ in range(50)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await region.changes.drained_position(driver.namespace)
        cached = await driver.events()
        key = await region.changes.read(driver.namespace, "order-1", "", lambda run: run.key)
        region.runs.drop(key)
        assert await driver.events() == cached
        assert [event.event_id for event in cached] == list(range(1, len(cached) + 1))
        assert len(cached) >= 2 + 25


async def test_a_passive_region_refuses_changes(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await fail_over(region, B)
        with pytest.raises(NamespaceNotActive) as raised:
            await driver.signal()
        assert raised.value.active_cluster == B
        with pytest.raises(NamespaceNotActive):
            await driver.start("order-2")


async def test_handover_refuses_changes_until_it_ends(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await set_state(region, HANDOVER)
        with pytest.raises(NamespaceHandover, match="Namespace replication in Handover state"):
            await driver.signal()
        await set_state(region, NORMAL)
        await driver.signal()
        assert (await driver.names())[-1] == "WorkflowExecutionSignaled"


async def test_what_was_admitted_before_handover_is_before_the_drained_position(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        for number in range(20):
            await driver.start(f"order-{number}")
        calls = [asyncio.ensure_future(driver.signal(f"order-{number}")) for number in range(20)]
        await asyncio.sleep(0)
        await set_state(region, HANDOVER)
        position = await region.changes.drained_position(driver.namespace)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert position == await region.store.read(
            lambda connection: log.last_position(connection, driver.namespace.id)
        )
        for number, result in enumerate(results):
            signaled = "WorkflowExecutionSignaled" in await driver.names(f"order-{number}")
            assert signaled == (result is None)


async def test_a_task_of_a_lower_version_is_failed_at_the_next_touch(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await driver.poll()
        await fail_over(region, B)
        await fail_over(region, A)  # 1 -> 2 -> 11
        events = await driver.events()
        assert [event.version for event in events] == [1, 1, 1, 1, 1]  # under the last write version
        assert (await driver.names())[3:] == ["WorkflowTaskFailed", "WorkflowTaskScheduled"]
        again = await driver.poll()
        assert again.attempt == 1
        assert again.history.events[-1].version == 11


async def test_a_region_that_turned_passive_fails_its_own_task_when_the_run_is_read(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await driver.poll()
        await fail_over(region, B)
        events = await driver.events()
        assert [event.version for event in events] == [1, 1, 1, 1, 1]
        rows = await region.store.read(lambda connection: log.read_log(connection, driver.namespace.id, 0))
        last = rows[-1].task
        assert last.history.items[-1].version == 1
        assert last.history.items[-1].event_id == 5


async def test_start_policies_terminate_and_start_in_one_transaction(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        first = await driver.start()
        policy = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
        second = await driver.start(workflow_id_conflict_policy=policy)
        assert second.run_id != first.run_id
        assert second.started
        assert (await driver.names(run_id=first.run_id))[-1] == "WorkflowExecutionTerminated"
        assert await driver.names() == ["WorkflowExecutionStarted", "WorkflowTaskScheduled"]


async def test_signal_with_start_starts_and_then_signals(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)

        async def call(request_id: str) -> str:
            request = SignalWithStartWorkflowExecutionRequest(
                namespace="default", workflow_id="order-1", request_id=request_id, signal_name="paid"
            )
            request.workflow_type.name = "Order"
            request.task_queue.name = "orders"
            return (await region.changes.signal_with_start(driver.namespace, request)).run_id

        first = await call("one")
        assert await call("two") == first
        assert (await driver.names()).count("WorkflowExecutionSignaled") == 2
        await driver.complete(await driver.poll(), close())
        assert await call("three") != first


async def test_only_replicated_namespaces_write_a_log_and_each_batch_is_in_it(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        await register(region, "alone", clusters=(A,))
        for name in ("alone", "default"):
            driver = Driver(region, name)
            await driver.start()
            await driver.complete(await driver.poll(), close())
        rows = {
            name: await region.store.read(
                lambda connection, name=name: log.read_log(  # type: ignore[misc]
                    connection, region.namespaces.by_name(name).id, 0
                )
            )
            for name in ("alone", "default")
        }
        assert rows["alone"] == []
        tasks = [row.task for row in rows["default"]]
        assert tasks[0].WhichOneof("task") == "namespace_record"
        batches = [task.history for task in tasks[1:]]
        assert [batch.items[-1].event_id for batch in batches] == [2, 3, 5]
        assert batches[0].create_request_id
        assert not batches[1].create_request_id
        assert all(batch.events for batch in batches)


async def test_a_replication_plan_commits_all_or_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        key = await region.changes.read(driver.namespace, "order-1", "", lambda run: run.key)

        def fails(connection: sqlite3.Connection) -> None:
            raise InvalidArgument("refused")

        async def plan(loaded: Loaded) -> Replicated:
            run = await loaded.run(key.run_id)
            assert run is not None
            change = RunChange(run, loaded.context())
            run.record.signal_request_ids.append("lost")
            change.touch()
            return Replicated([change.finish()], [fails])

        with pytest.raises(InvalidArgument):
            await region.changes.replicate(driver.namespace, "order-1", plan)
        ids = await region.changes.read(
            driver.namespace, "order-1", "", lambda run: list(run.record.signal_request_ids)
        )
        assert ids == []


def touching(run_id: str, name: str, *, replicate: bool = False) -> Plan:
    """A plan that leaves `name` among the signal request ids of a run, without an event."""

    async def plan(loaded: Loaded) -> Replicated:
        run = await loaded.run(run_id)
        assert run is not None
        change = RunChange(run, loaded.context())
        run.record.signal_request_ids.append(name)
        change.touch()
        outcome = change.finish()
        outcome.replicate = replicate
        return Replicated([outcome])

    return plan


def refuses(connection: sqlite3.Connection) -> None:
    raise InvalidArgument("refused")


async def test_plans_carried_out_together_are_one_transaction(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        plans: dict[str, Plan] = {}
        stored: list[bool] = []
        for name in ("order-1", "order-2"):
            await driver.start(name)
            key = await region.changes.read(driver.namespace, name, "", lambda run: run.key)
            plans[name] = touching(key.run_id, name)

        async def fails(loaded: Loaded) -> Replicated:
            raise InvalidArgument("not this one")

        async def ids(name: str) -> list[str]:
            return await region.changes.read(
                driver.namespace, name, "", lambda run: list(run.record.signal_request_ids)
            )

        def complete(connection: sqlite3.Connection) -> None:
            stored.append(connection.in_transaction)

        together = region.changes.replicate_together

        assert await together(driver.namespace, plans | {"order-3": fails}, [complete]) == {"order-3"}
        assert [await ids(name) for name in plans] == [["order-1"], ["order-2"]]
        assert stored == [], "something is left over"

        assert await together(driver.namespace, plans, [complete]) == set()
        assert stored == [True]

        assert await together(driver.namespace, plans, [refuses]) == {"order-1", "order-2"}
        assert [await ids(name) for name in plans] == [["order-1"] * 2, ["order-2"] * 2]


async def test_what_passed_the_fence_of_an_older_record_is_left_over(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        key = await region.changes.read(driver.namespace, "order-1", "", lambda run: run.key)
        replicating = touching(key.run_id, "late", replicate=True)

        async def changes_the_namespace(loaded: Loaded) -> Replicated:
            request = UpdateNamespaceRequest(namespace=driver.namespace.name)
            request.update_info.description = "another record"
            await region.namespaces.update(driver.namespace, request)
            return Replicated()

        plans: dict[str, Plan] = {"order-1": replicating, "order-2": changes_the_namespace}
        assert await region.changes.replicate_together(driver.namespace, plans) == {"order-1"}
        assert await region.changes.replicate_together(driver.namespace, {"order-1": replicating}) == set()
        ids = await region.changes.read(
            driver.namespace, "order-1", "", lambda run: list(run.record.signal_request_ids)
        )
        assert ids == ["late"]


async def test_a_busy_workflow_is_left_over(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        key = await region.changes.read(driver.namespace, "order-1", "", lambda run: run.key)
        go_on = asyncio.Event()
        busy = asyncio.ensure_future(region.changes.exclusive(driver.namespace, "order-1", go_on.wait))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        plans = {"order-1": touching(key.run_id, "late")}
        assert await region.changes.replicate_together(driver.namespace, plans) == {"order-1"}

        go_on.set()
        await busy
        assert await region.changes.replicate_together(driver.namespace, plans) == set()


async def test_changes_of_one_workflow_come_one_after_the_other(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await asyncio.gather(*(driver.signal() for _ in range(40)))
        events = await driver.events()
        assert [event.event_id for event in events] == list(range(1, 43))
        assert region.runs.get(RunKey(driver.namespace.id, "order-1", "no such run")) is None
