"""Plays a recording against a fresh cloud of regions A and B, by raw calls, and tells where the outcome differs.

Time is not played: what the recording waited for (convergence, a failover seen, the end of a call) is waited for here.
The namespace has the settings that the recording was made with.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Final

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest

from mockcloud import MockCloud
from mockcloud.cloud.fault_handles import AppliedFault
from mockcloud.cloud.settings import CloudSettings
from mockcloud.cloud.views import RunView
from mockcloud.core.limits import Limits
from mockcloud.store import log, positions
from tests.golden import compare, runs
from tests.golden.answers import came_empty, of_errors, task_of
from tests.golden.compare import NOTHING, Difference
from tests.golden.ids import labels, learn, pair_others
from tests.golden.off_record import Start, started_off_the_record
from tests.golden.recording import Call, Converged, Json, Links, Recording, Seen, Snapshot
from tests.scenarios.stage import LOCALLY, SERVICE, Caller, until

REGIONS = ("A", "B")
_SLACK = 2.0  # seconds that a call may take longer than its recorded end, before it counts as unanswered
_TIME_TO_ARRIVE = 1.0  # seconds in which whatever was written before has arrived where no link is cut


# Of a server's build and its hosts; and what a list says, in which order, beside which runs there are.
_NOT_COMPARED: Final = {"GetSystemInfo", "GetClusterInfo", "ListTaskQueuePartitions", "DescribeTaskQueue"}


@dataclass
class Player:
    """One recording being played."""

    recording: Recording
    cloud: MockCloud
    callers: dict[str, Caller] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)  # recorded ids and task tokens -> ours
    cuts: dict[tuple[str, str], AppliedFault] = field(default_factory=dict)  # (source, target) of messages
    open_calls: list[tuple[float, asyncio.Task[None]]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    off_the_record: list[Start] = field(default_factory=list)
    kept: list[Json] = field(default_factory=list)  # tasks that a later poll was given in the recording

    async def play(self) -> list[Difference]:
        """Every difference, in order; none: the outcome is the recorded one."""
        self.off_the_record = started_off_the_record(self.recording)
        for region in REGIONS:
            self.callers[region] = Caller(self.cloud.region(region).address, self.recording.namespace)
        moments = [0.0]  # when steps were begun and calls ended
        try:
            for step in self.recording.steps:
                await self._ended(step.at)
                quiet = step.at - max(moment for moment in moments if moment <= step.at)
                moments.append(step.at)
                if quiet >= _TIME_TO_ARRIVE:
                    await self.converged()
                match step:
                    case Call():
                        moments.append(step.ended)
                        await self._begin(step)
                    case Links():
                        self._links(step)
                    case Converged():
                        await self.converged()
                    case Seen():
                        for region in step.clusters:
                            await self._sees(region, step.version)
                    case Snapshot():
                        await self._snapshot(step)
            await self._ended(float("inf"))
        finally:
            for _, task in self.open_calls:
                task.cancel()
            for caller in self.callers.values():
                await caller.channel.close(None)
        return self.differences

    async def _begin(self, call: Call) -> None:
        if self.off_the_record and call.method == "StartWorkflowExecution":
            for start in self.off_the_record:
                await self.callers[call.cluster].start(
                    start.workflow_id,
                    workflow_type=WorkflowType(name=start.workflow_type),
                    task_queue=TaskQueue(name=start.task_queue),
                )
            self.off_the_record = []
        self.open_calls.append((call.ended, asyncio.create_task(self._call(call))))
        await asyncio.sleep(0)

    async def _ended(self, before: float) -> None:
        """Wait for the calls that had ended by then."""
        due = [task for ended, task in self.open_calls if ended <= before]
        self.open_calls = [each for each in self.open_calls if each[0] > before]
        for task in due:
            await task

    # Calls

    async def _call(self, call: Call, *, again: bool = False) -> None:
        where = f"{call.cluster}.{call.method} at {call.at}"
        descriptor = SERVICE.methods_by_name.get(call.method)
        if descriptor is None:
            self.differences.append(Difference(where, "a call", "a method that the service does not have"))
            return
        request = ParseDict(
            self._ours(call.request), GetMessageClass(descriptor.input_type)(), ignore_unknown_fields=True
        )
        metadata = {} if call.redirect is None else {"xdc-redirection": str(call.redirect).lower()}
        took = call.ended - call.at
        timeout = _SLACK + 1.5 * took if came_empty(call) else max(10.0, took + _SLACK)
        try:
            ours = await self._answer(call, request, timeout=timeout, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if call.refused_in_handover and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and not again:
                # Held calls are refused shortly before their deadline, which a busy machine may miss once.
                await self._call(call, again=True)
                return
            self.differences.extend(of_errors(where, call.error, error))
            return
        if call.answer is None:
            self.differences.append(Difference(where, f"{(call.error or {})['code']}", "an answer"))
            return
        learn(call.answer, ours, self.ids)
        if call.method not in _NOT_COMPARED:
            theirs = compare.cleaned(call.answer, labels(self.ids))
            mine = compare.cleaned(ours, labels(self.ids, ours=True))
            self.differences.extend(compare.answers(theirs, mine, where))

    async def _answer(self, call: Call, request: Message, **options: Any) -> Json:
        """Our answer. A poll gets the task that was recorded, whichever of those that wait comes first here."""
        caller, wanted = self.callers[call.cluster], task_of(call.answer or {})
        for index, kept in enumerate(self.kept):
            if wanted and task_of(kept) == wanted:
                return self.kept.pop(index)
        while True:
            answer = MessageToDict(await caller.by_name(call.method, request, **options))
            if not wanted or task_of(answer) in (None, wanted):
                return answer
            self.kept.append(answer)

    def _ours(self, value: Any) -> Any:
        """A recorded request with our run ids and tokens in it."""
        if isinstance(value, dict):
            return {key: self._ours(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._ours(each) for each in value]
        return self.ids.get(value, value) if isinstance(value, str) else value

    # Notes

    def _links(self, step: Links) -> None:
        for via, to in step.connections:
            # Over the connection by which `via` reaches `to`, the data of `to` flow.
            direction = (to, via)
            if step.cut and direction not in self.cuts:
                self.cuts[direction] = self.cloud.link(*direction).partition(one_way=True)
            elif not step.cut and direction in self.cuts:
                self.cuts.pop(direction).remove()

    async def _sees(self, region: str, version: int) -> None:
        async def seen() -> bool:
            try:
                return (await self.callers[region].describe_namespace()).failover_version >= version
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return False  # not even the namespace has arrived
                raise

        await until(seen)

    async def converged(self) -> None:
        """Wait until what is in each log has been applied, where no link is cut, and nothing new came of it."""

        async def quiet() -> bool:
            before = await self._positions()
            if any(applied < written for applied, written in before.values()):
                return False
            return await self._positions() == before

        await until(quiet)

    async def _positions(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Per open direction: what the target has applied, and what the source has written."""
        found = {}
        for source, target in ((a, b) for a in REGIONS for b in REGIONS if a != b):
            if (source, target) not in self.cuts:
                found[source, target] = (
                    await self._read(target, lambda c, n, peer=source: positions.applied(c, n, peer)),
                    await self._read(source, log.last_position),
                )
        return found

    async def _read(self, region: str, read: Any) -> int:
        async def run() -> int:
            node = self.cloud.cloud.node(region).region
            namespace = node.namespaces.find(self.recording.namespace)
            if namespace is None:
                return -1  # not even that has arrived

            def inside(connection: sqlite3.Connection) -> int:
                return int(read(connection, namespace.id))

            return await node.store.read(inside)

        return await self.cloud.run(run())

    # Snapshots

    async def _snapshot(self, snapshot: Snapshot) -> None:
        await self.converged()
        for workflow_id, clusters in snapshot.workflows.items():
            for region in clusters:
                await self._read_current(region, workflow_id)
            history = await self.cloud.namespace(self.recording.namespace).history(workflow_id)
            for region in REGIONS:
                if region in clusters and _was_read(clusters[region]):
                    where = f"{snapshot.name}, {region}, {workflow_id}"
                    ours = history.get(region, ())
                    self._compare_runs(clusters[region]["runs"], ours, where)
                    there = {run.run_id for run in ours}
                    both = {
                        number: (self.ids[run_id], run)
                        for number, (run_id, run) in enumerate(clusters[region]["runs"].items(), 1)
                        if self.ids.get(run_id) in there
                    }
                    await self._compare_described(region, workflow_id, both, where)
        for region, recorded in snapshot.namespaces.items():
            described = MessageToDict(await self.callers[region].describe_namespace())
            parts = {"namespaceInfo", "config"} & recorded.keys()
            self.differences.extend(
                compare.values(
                    _namespace(recorded, parts),
                    _namespace(described, parts),
                    f"{snapshot.name}, {region}: namespace",
                )
            )

    async def _compare_described(
        self, region: str, workflow_id: str, both: Mapping[int, tuple[str, Json]], where: str
    ) -> None:
        """What each run's description says there: its status and all that is pending. `both`: our run id and theirs."""
        for number, (run_id, run) in both.items():
            recorded = run.get("describe", {})
            if "workflowExecutionInfo" not in recorded:
                continue
            ours = await self._described(region, workflow_id, run_id)
            place = f"{where}, run {number}: described"
            if "closeTime" in recorded["workflowExecutionInfo"]:
                place += ", closed"
            theirs = compare.cleaned(recorded, labels(self.ids))
            mine = compare.cleaned(ours, labels(self.ids, ours=True))
            self.differences.extend(compare.values(theirs, mine, place))

    async def _described(self, region: str, workflow_id: str, run_id: str) -> Json:
        run = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        request = DescribeWorkflowExecutionRequest(namespace=self.recording.namespace, execution=run)
        try:
            answer = await self.callers[region].by_name(
                "DescribeWorkflowExecution", request, metadata=LOCALLY
            )
        except grpc.aio.AioRpcError as error:
            return {"error": {"code": error.code().name, "message": error.details()}}
        return MessageToDict(answer)

    async def _read_current(self, region: str, workflow_id: str) -> None:
        """Describe the run in that region, as was done for the snapshot: the first read after a switch is a touch."""
        request = DescribeWorkflowExecutionRequest(
            namespace=self.recording.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self.callers[region].by_name(
                "DescribeWorkflowExecution", request, timeout=1.0, metadata=LOCALLY
            )

    def _compare_runs(self, recorded: Json, ours: Sequence[RunView], where: str) -> None:
        """Runs whose ids no answer told (those of resets) are paired as it fits best."""
        theirs = {run_id: run for run_id, run in recorded.items() if "state" in run}
        mine = {run.run_id: run for run in ours}
        known = {run_id: self.ids[run_id] for run_id in theirs if self.ids.get(run_id) in mine}
        left = [run_id for run_id in theirs if run_id not in known]
        free: list[str | None] = [run_id for run_id in mine if run_id not in known.values()]
        free += [None] * (len(left) - len(free))
        best: tuple[list[Difference], dict[str, str]] | None = None
        for order in permutations(free, len(left)):
            pairs = dict(self.ids)
            pairs.update({run_id: own for run_id, own in zip(left, order, strict=True) if own is not None})
            found = self._differences(theirs, mine, pairs, where)
            if best is None or len(found) < len(best[0]):
                best = found, pairs
        assert best is not None
        self.differences.extend(best[0])
        self.ids.update(best[1])

    def _differences(
        self, theirs: Json, mine: Mapping[str, RunView], pairs: dict[str, str], where: str
    ) -> list[Difference]:
        both = {run_id: pairs[run_id] for run_id in theirs if pairs.get(run_id) in mine}
        pair_others({run_id: theirs[run_id] for run_id in both}, mine.values(), pairs)
        their_labels, our_labels = labels(pairs), labels(pairs, ours=True)
        found: list[Difference] = []
        for number, (run_id, run) in enumerate(theirs.items(), 1):
            place = f"{where}, run {number}"
            recorded = runs.recorded(run, their_labels)
            if run_id in both:
                own = runs.ours(mine[both[run_id]], our_labels)
                found.extend(runs.differences(recorded, own, place))
            else:
                found.append(Difference(place, runs.headline(recorded), NOTHING))
        alone = [runs.ours(mine[run_id], our_labels) for run_id in mine.keys() - both.values()]
        found.extend(Difference(where, NOTHING, runs.headline(run)) for run in alone)
        return found


def _namespace(described: Json, parts: Iterable[str] = ()) -> Json:
    """What is compared of a namespace's record; `parts` are those that a recording may lack."""
    compared = ("isGlobalNamespace", "failoverVersion", "failoverHistory", "replicationConfig", *parts)
    namespace: Json = compare.cleaned({key: described[key] for key in compared if key in described}, {})
    namespace.get("namespaceInfo", {}).pop("id", None)
    return namespace


def _was_read(cluster: Json) -> bool:
    """Whether the cluster answered: in HANDOVER it does not."""
    errors = [run["mutableStateError"] for run in cluster["runs"].values() if "mutableStateError" in run]
    return all(error["code"] == "NotFound" for error in errors)


async def play(recording: Recording) -> list[Difference]:
    """The differences between a recording and what a fresh cloud does; none: they are equal."""
    settings = CloudSettings(
        handover="reject" if recording.rejects_in_handover else "hold",
        redirection="selected" if recording.selected else "all",
        # Played faster than recorded, chains of runs would be slowed down.
        limits=Limits(continue_as_new_minimum_interval=0),
    )
    async with MockCloud(regions=REGIONS, namespaces=[], settings=settings) as cloud:
        return await Player(recording, cloud).play()
