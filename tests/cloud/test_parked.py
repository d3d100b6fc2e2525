"""What cannot be reconciled yet waits with its reason, for everyone to see."""

from __future__ import annotations

from click.testing import CliRunner
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent

from mockcloud import MockCloud
from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.cli.main import main
from mockcloud.cloud.views import ParkedRun
from mockcloud.store.log import LogWrite, append_log

EAST, WEST = "aws-us-east-1", "aws-us-west-2"


REASON = "events of type EVENT_TYPE_NEXUS_OPERATION_SCHEDULED are not built"


async def log_what_is_not_built(cloud: MockCloud, workflow_id: str, run_id: str, event_id: int) -> None:
    """Put a batch with an event whose meaning is not built into EAST's log; the run begins with it or has it next."""
    started = HistoryEvent(event_id=1, version=1, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
    started.workflow_execution_started_event_attributes.workflow_id = workflow_id
    event = HistoryEvent(
        event_id=event_id, version=1, event_type=EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED
    )
    task = ReplicationTask()
    task.history.workflow_id, task.history.run_id = workflow_id, run_id
    task.history.items.add(event_id=event_id, version=1)
    events = [started, event] if event_id == 2 else [event]
    task.history.events = History(events=events).SerializeToString()
    region = cloud.cloud.node(EAST).region
    namespace = region.namespaces.by_name("default")

    async def append() -> None:
        await region.store.transact(lambda c: append_log(c, namespace.id, LogWrite(task.SerializeToString())))
        region.log_signal.notify(namespace.id)

    await cloud.run(append())


async def test_status_and_history_tell_why_a_run_waits(mockcloud: MockCloud) -> None:
    namespace = mockcloud.namespace("default")
    client = await namespace.client(region=EAST)
    handle = await client.start_workflow("any", id="w", task_queue="nobody")
    run_id = handle.first_execution_run_id
    assert run_id is not None
    await log_what_is_not_built(mockcloud, "w", run_id, 3)
    await namespace.replicated()

    (status,) = (await mockcloud.status()).namespaces
    assert {view.region: (view.parked, view.parked_runs) for view in status.regions} == {
        EAST: (0, ()),
        WEST: (1, (ParkedRun("w", run_id, REASON),)),
    }
    history = await namespace.history("w")
    assert {region: run.parked for region, (run,) in history.items()} == {EAST: "", WEST: REASON}

    cloud = ("--cloud", mockcloud.cloud_ops)
    for command in (("status",), ("status", "-o", "json"), ("history", "default", "w")):
        shown = CliRunner().invoke(main, [*command, *cloud])
        assert REASON in shown.stdout, shown.output


async def test_a_run_of_which_nothing_is_here_yet(mockcloud: MockCloud) -> None:
    namespace = mockcloud.namespace("default")
    run_id = "00000000-0000-4000-8000-000000000000"
    await log_what_is_not_built(mockcloud, "unknown", run_id, 2)
    await namespace.replicated()

    shown = CliRunner().invoke(main, ["history", "default", "unknown", "--cloud", mockcloud.cloud_ops])
    assert f"{WEST}: run {run_id} (parked: " in shown.stdout
    assert "unspecified" not in shown.stdout
