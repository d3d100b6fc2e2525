from __future__ import annotations

import itertools

from temporalio.api.common.v1 import Header, Payload, Payloads, WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionTerminatedEventAttributes,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import reapply, start
from mockcloud.core.change import Context, RunChange
from mockcloud.core.cluster import Clusters
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.core.run import Run, RunKey

CLUSTERS = Clusters.of(["A", "B"])


def context(version: int = 2, region: str = "B") -> Context:
    ids = itertools.count(100)
    return Context(
        now=1_000_000_000,
        region=region,
        namespace=NamespaceRecord(id="n", failover_version=version, active_cluster=region),
        clusters=CLUSTERS,
        ids=Ports().ids,
        next_task_id=lambda: next(ids),
        limits=Limits(),
        random=lambda: 0.5,
    )


def run() -> Run:
    change = RunChange.new_run(RunKey("n", "w1", "r1"), context())
    start.start(
        change,
        StartWorkflowExecutionRequest(
            workflow_id="w1", workflow_type=WorkflowType(name="wf"), task_queue=TaskQueue(name="tq")
        ),
    )
    change.finish()
    change.run.record.ClearField("workflow_task")
    return change.run


def signaled(event_id: int, name: str = "s", version: int = 1) -> HistoryEvent:
    return HistoryEvent(
        event_id=event_id,
        version=version,
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        workflow_execution_signaled_event_attributes=WorkflowExecutionSignaledEventAttributes(
            signal_name=name,
            input=Payloads(payloads=[Payload(data=b"1")]),
            identity="me",
            header=Header(fields={"k": Payload(data=b"2")}),
            request_id="request-1",
        ),
    )


def terminated(identity: str) -> HistoryEvent:
    return HistoryEvent(
        event_id=9,
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        workflow_execution_terminated_event_attributes=WorkflowExecutionTerminatedEventAttributes(
            identity=identity
        ),
    )


def test_signals_are_written_again_with_one_workflow_task() -> None:
    change = RunChange(run(), context())
    assert reapply.reapply(change, "r1", [signaled(5, "a"), signaled(6, "b")]) == 2
    types = [EventType.Name(event.event_type) for event in change.events]
    assert types == [
        "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED",
        "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED",
        "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED",
    ]
    again = change.events[0].workflow_execution_signaled_event_attributes
    assert (again.signal_name, again.identity, again.request_id) == ("a", "me", "")
    assert again.input.payloads[0].data == b"1"
    assert again.header.fields["k"].data == b"2"
    assert {event.version for event in change.events} == {2}
    outcome = change.finish()
    assert outcome.replicate_run_state
    assert [(e.run_id, e.event_id, e.version) for e in outcome.run.record.reapplied] == [
        ("r1", 5, 1),
        ("r1", 6, 1),
    ]


def test_what_was_reapplied_is_not_reapplied_again() -> None:
    target = run()
    reapply.reapply(RunChange(target, context()), "r1", [signaled(5)])
    change = RunChange(target, context())
    assert reapply.reapply(change, "r1", [signaled(5)]) == 0
    assert not change.changed
    # Another run's event, or the same id under another version, is another event.
    assert reapply.reapply(change, "r2", [signaled(5)]) == 1
    assert reapply.reapply(change, "r1", [signaled(5, version=11)]) == 1


def test_only_what_outsiders_asked_for_is_wanted() -> None:
    completed = HistoryEvent(event_id=4, event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    signal = signaled(5)
    assert reapply.candidates([completed, signal, terminated("history-service")]) == [signal]


def test_a_regions_own_versions_are_ignored() -> None:
    """[09b]"""
    events = [signaled(5, version=1), signaled(6, version=2), signaled(7, version=11)]
    assert reapply.without_own(events, CLUSTERS, "A") == [events[1]]
    assert reapply.without_own(events, CLUSTERS, "B") == [events[0], events[2]]
