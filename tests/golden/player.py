"""Plays a recording against a fresh cloud of regions A and B, by raw calls, and tells where the outcome differs.

Time is not played: what the recording waited for (convergence, a failover seen, the end of a call) is waited for here.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest

from mockcloud import MockCloud
from mockcloud.cloud.fault_handles import AppliedFault
from mockcloud.cloud.settings import CloudSettings
from mockcloud.cloud.views import RunView
from mockcloud.core.limits import Limits
from mockcloud.store import log, positions
from tests.golden import compare
from tests.golden.recording import Call, Json, Note, Recording, Snapshot
from tests.scenarios.stage import SERVICE, Caller, until

REGIONS = ("A", "B")
_SLACK = 2.0  # seconds that a call may take longer than its recorded end, before it counts as unanswered
_TIME_TO_ARRIVE = 1.0  # seconds in which whatever was written before has arrived where no link is cut
_CONNECTION_ERROR = re.compile(r"connect|transport|unavailable", re.IGNORECASE)
_LINKS = re.compile(r"\b([AB])to([AB])\b")
_SEEN = re.compile(r"namespace failover version (\d+) seen on ([AB]+)")


@dataclass
class Player:
    """One recording being played."""

    recording: Recording
    cloud: MockCloud
    callers: dict[str, Caller] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)  # recorded ids and task tokens -> ours
    cuts: dict[tuple[str, str], AppliedFault] = field(default_factory=dict)  # (source, target) of messages
    open_calls: list[tuple[float, asyncio.Task[None]]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    async def play(self) -> list[str]:
        """Every difference, in order; none: the outcome is the recorded one."""
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
                        task = asyncio.create_task(self._call(step))
                        self.open_calls.append((step.ended, task))
                        await asyncio.sleep(0)
                    case Note():
                        await self._note(step.text)
                    case Snapshot():
                        await self._snapshot(step)
            await self._ended(float("inf"))
        finally:
            for _, task in self.open_calls:
                task.cancel()
            for caller in self.callers.values():
                await caller.channel.close(None)
        return self.differences

    async def _ended(self, before: float) -> None:
        """Wait for the calls that had ended by then."""
        due = [task for ended, task in self.open_calls if ended <= before]
        self.open_calls = [each for each in self.open_calls if each[0] > before]
        for task in due:
            await task

    # Calls

    async def _call(self, call: Call) -> None:
        descriptor = SERVICE.methods_by_name[call.method]
        request = ParseDict(
            self._ours(call.request), GetMessageClass(descriptor.input_type)(), ignore_unknown_fields=True
        )
        metadata = {} if call.redirect is None else {"xdc-redirection": str(call.redirect).lower()}
        took = call.ended - call.at
        timeout = took + _SLACK if self._came_empty(call) else max(10.0, took + _SLACK)
        where = f"{call.cluster}.{call.method} at {call.at}"
        try:
            answer = await self.callers[call.cluster].by_name(
                call.method, request, timeout=timeout, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            self._compare_error(where, call, error)
            return
        if call.answer is None:
            self.differences.append(f"{where}: recorded {call.error}, ours was served")
            return
        _learn(call.answer, MessageToDict(answer), self.ids)

    @staticmethod
    def _came_empty(call: Call) -> bool:
        return call.answer is None or (call.method.startswith("Poll") and not call.answer)

    def _compare_error(self, where: str, call: Call, error: grpc.aio.AioRpcError) -> None:
        ours = {"code": error.code().name.replace("_", "").lower(), "message": error.details()}
        if call.error is None:
            self.differences.append(f"{where}: recorded an answer, ours was refused: {ours}")
            return
        recorded = {"code": call.error["code"].lower(), "message": call.error["message"]}
        if recorded["code"] == ours["code"] == "unavailable" and _CONNECTION_ERROR.search(
            recorded["message"]
        ):
            return
        if recorded["code"] == ours["code"] == "deadlineexceeded":
            return  # the words are the client's own
        found = compare.difference(recorded, ours, where)
        if found:
            self.differences.append(found)

    def _ours(self, value: Any) -> Any:
        """A recorded request with our run ids and tokens in it."""
        if isinstance(value, dict):
            return {key: self._ours(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._ours(each) for each in value]
        return self.ids.get(value, value) if isinstance(value, str) else value

    @staticmethod
    def _pair_others(recorded: Json, ours: Iterable[RunView], pairs: dict[str, str]) -> None:
        """Add ids of runs that belong to other workflows, children say, by where they stand in the histories."""
        by_id = {run.run_id: run for run in ours}
        for run_id, run in recorded.items():
            events = by_id[pairs[run_id]].events
            for event, our_event in zip(run["history"]["events"], events, strict=False):
                _learn(event, MessageToDict(our_event), pairs)

    # Notes

    async def _note(self, text: str) -> None:
        if text.startswith(("cut link", "healed link")):
            for via, to in _LINKS.findall(text):
                # Over the connection by which `via` reaches `to`, the data of `to` flow.
                direction = (to, via)
                if direction in self.cuts and text.startswith("cut"):
                    continue
                if text.startswith("cut"):
                    self.cuts[direction] = self.cloud.link(*direction).partition(one_way=True)
                else:
                    self.cuts.pop(direction).remove()
        elif text.startswith("converged"):
            await self.converged()
        elif seen := _SEEN.match(text):
            for region in seen[2]:
                await self._sees(region, int(seen[1]))

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
                if region not in clusters or not _was_read(clusters[region]):
                    continue
                found = self._compare_runs(clusters[region]["runs"], history.get(region, ()))
                if found:
                    self.differences.append(f"{snapshot.name}, {region}, {workflow_id}{found}")
        for region, recorded in snapshot.namespaces.items():
            ours = await self.callers[region].describe_namespace()
            if ours.failover_version != int(recorded.get("failoverVersion", 0)):
                self.differences.append(
                    f"{snapshot.name}, {region}: failover version {ours.failover_version}, "
                    f"recorded {recorded.get('failoverVersion')}"
                )

    async def _read_current(self, region: str, workflow_id: str) -> None:
        """Describe the run in that region, as was done for the snapshot: the first read after a switch is a touch."""
        request = DescribeWorkflowExecutionRequest(
            namespace=self.recording.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self.callers[region].by_name(
                "DescribeWorkflowExecution", request, timeout=1.0, metadata={"xdc-redirection": "false"}
            )

    def _compare_runs(self, recorded: Json, ours: tuple[RunView, ...] | Any) -> str:
        """Runs whose ids no answer told (those of resets) are paired as it fits."""
        recorded = {run_id: run for run_id, run in recorded.items() if "state" in run}
        known = {theirs: mine for theirs, mine in self.ids.items() if theirs in recorded}
        left = [theirs for theirs in recorded if theirs not in known]
        free = [run.run_id for run in ours if run.run_id not in known.values()]
        if len(left) != len(free):
            return f": runs {sorted(recorded)} recorded, ours {[run.run_id for run in ours]} (known {known})"
        found = ""
        for order in permutations(free):
            pairs = {**self.ids, **dict(zip(left, order, strict=True))}
            self._pair_others(recorded, ours, pairs)
            found = compare.difference(
                compare.recorded_runs(recorded, _labels(pairs)),
                compare.our_runs(ours, _labels(pairs, ours=True)),
            )
            if not found:
                self.ids.update(pairs)
                return ""
        return found


def _learn(recorded: Any, ours: Any, ids: dict[str, str]) -> None:
    """Which of our ids and tokens stand where the recorded message has its own."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key in recorded.keys() & ours.keys():
            if key in ("runId", "taskToken", "firstExecutionRunId"):
                if ours[key] not in ids.values():
                    ids.setdefault(recorded[key], ours[key])
            elif key == "namespaceInfo":
                ids.setdefault(recorded[key]["id"], ours[key]["id"])
            else:
                _learn(recorded[key], ours[key], ids)
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for one, other in zip(recorded, ours, strict=True):
            _learn(one, other, ids)


def _was_read(cluster: Json) -> bool:
    """Whether the cluster answered: in HANDOVER it does not."""
    errors = [run["mutableStateError"] for run in cluster["runs"].values() if "mutableStateError" in run]
    return all(error["code"] == "NotFound" for error in errors)


def _labels(pairs: Mapping[str, str], *, ours: bool = False) -> dict[str, str]:
    """A shared name for each pair of ids, by either side's id."""
    return {
        (mine if ours else theirs): f"<{theirs}>" for theirs, mine in pairs.items() if not _is_token(theirs)
    }


def _is_token(value: str) -> bool:
    try:
        return len(value) > 40 and bool(base64.b64decode(value, validate=True))
    except ValueError:
        return False


async def play(recording: Recording) -> list[str]:
    """The differences between a recording and what a fresh cloud does; none: they are equal."""
    # Played faster than recorded, chains of runs would be slowed down.
    settings = CloudSettings(limits=Limits(continue_as_new_minimum_interval=0))
    async with MockCloud(regions=REGIONS, namespaces=[], settings=settings) as cloud:
        return await Player(recording, cloud).play()
