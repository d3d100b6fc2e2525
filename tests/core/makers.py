"""A run and all that a rule needs, for tests of `core`: no store, no engine, a clock that tests set."""

from __future__ import annotations

import itertools
import random
from dataclasses import fields
from typing import TypeVar

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, Payloads, WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord, RunRecord
from mockcloud.core import failover, fold, start, times
from mockcloud.core.change import Context, RunChange
from mockcloud.core.cluster import Clusters
from mockcloud.core.limits import Limits
from mockcloud.core.outcome import Outcome
from mockcloud.core.ports import SeededIds
from mockcloud.core.run import Run, RunKey

M = TypeVar("M", bound=Message)

NAMESPACE_ID = "ns-id"
START = 1_800_000_000 * times.SECOND


class World:
    """One region, its clock and the failover version of its one namespace."""

    def __init__(
        self, region: str = "A", version: int = 1, limits: Limits | None = None, retention: int = 0
    ) -> None:
        self.region = region
        self.version = version
        self.time = START
        self.limits = limits or Limits()
        self.search_attributes: dict[str, int] = {}  # custom ones: name and type
        self.retention = retention
        self.clusters = Clusters.of(["A", "B"])
        self._ids = SeededIds(self, random.Random(1))
        self._task_ids = itertools.count(1)
        self._random = random.Random(2)

    def now(self) -> int:
        return self.time

    def advance(self, nanoseconds: int) -> None:
        self.time += nanoseconds

    def context(self) -> Context:
        return Context(
            now=self.time,
            region=self.region,
            namespace=NamespaceRecord(
                id=NAMESPACE_ID,
                name="orders",
                failover_version=self.version,
                active_cluster=self.clusters.owner(self.version),
                custom_search_attributes=self.search_attributes,
                retention=self.retention,
            ),
            clusters=self.clusters,
            ids=self._ids,
            next_task_id=lambda: next(self._task_ids),
            limits=self.limits,
            random=self._random.random,
        )


class Life:
    """One run through its changes, with its committed events, as the engine would lead it."""

    def __init__(
        self,
        world: World,
        request: StartWorkflowExecutionRequest | None = None,
        parent: start.Parent | None = None,
    ) -> None:
        self.world = world
        self.events: list[HistoryEvent] = []
        self.outcomes: list[Outcome] = []
        change = RunChange.new_run(RunKey(NAMESPACE_ID, "order-1", "run-1"), world.context())
        start.start(change, request or start_request(), parent=parent)
        self.run: Run = change.run
        self.commit(change)

    def change(self) -> RunChange:
        """A change of the run as the active region, touched as the engine does."""
        change = RunChange(self.run, self.world.context())
        failover.touch(change)
        return change

    def commit(self, change: RunChange) -> Outcome:
        outcome = change.finish()
        for batch in outcome.batches:
            self.events.extend(History.FromString(batch.data).events)
        self.outcomes.append(outcome)
        return outcome

    def rebuilt(self) -> Run:
        """The run as a restart would load it."""
        return fold.rebuild(self.run.key, RunRecord.FromString(self.run.dump()), self.events)

    def types(self, first: int = 1) -> list[str]:
        """Event types from event id `first` on, without their prefix."""
        return [short(event) for event in self.events if event.event_id >= first]


def short(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


def start_request(**overrides: object) -> StartWorkflowExecutionRequest:
    request = StartWorkflowExecutionRequest(
        namespace="orders",
        workflow_id="order-1",
        workflow_type=WorkflowType(name="wf"),
        task_queue=TaskQueue(name="tq"),
        request_id="start-1",
        identity="starter",
        input=payloads("input"),
    )
    for name, value in overrides.items():
        if isinstance(value, Message):
            getattr(request, name).CopyFrom(value)
        elif isinstance(value, list):
            getattr(request, name).extend(value)
        else:
            setattr(request, name, value)
    return request


def payloads(text: str) -> Payloads:
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=f'"{text}"'.encode())])


def same_state(left: Run, right: Run) -> list[str]:
    """What differs between two runs: the names of fields."""
    left.dump()
    right.dump()
    return [
        each.name
        for each in fields(Run)
        if each.compare and getattr(left, each.name) != getattr(right, each.name)
    ]
