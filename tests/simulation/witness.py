"""What must hold at each moment of a simulated cloud, seen from inside of its regions, life after life.

    Owned                what a region writes as the active one has a version of that region, what it takes from
                         peers has another's
    NoWriteInHandover    once HANDOVER is in force and drained, nothing is written under the namespace's version
    SingleDispatch       a region hands out each attempt of a task once under each failover version
                         (of a workflow task: in each of its lives)
    AckMonotone          positions never fall, and nobody acknowledges what is not applied
    DeletedForGood       what is deleted does not come back by what a peer tells late
    StartLinearizable    see `starts`

It also keeps every task that was applied, so that they can be applied once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextvars import ContextVar
from typing import Final

from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueResponse,
)

from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import version_history
from mockcloud.core.task_start import StartedTask
from mockcloud.core.tokens import TaskToken
from mockcloud.core.version_history import Item
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.region import Region
from mockcloud.replication.service import Replication
from mockcloud.store import log, positions
from tests.simulation.starts import Starts
from tests.simulation.survival import Lost, Met

# Under which failover version a region was active when it began to apply what is being applied; 0: it was not.
_active_under: ContextVar[int] = ContextVar("active_under", default=0)

Applied = tuple[str, str, str, list[ReplicationTask]]  # namespace id, source, workflow id, tasks


class Witness:
    """Watches all lives of all regions; `problems` says what it saw, each with the invariant's name first.

    `deleted`: workflow ids whose runs may be gone, and may come back from a peer that went on with them.
    """

    def __init__(self, deleted: AbstractSet[str]) -> None:
        self._deleted: Final = deleted
        self.problems: Final[list[str]] = []
        self.starts: Final = Starts(deleted, self.problems)
        self.applied: Final[dict[str, list[Applied]]] = {}  # by region
        self.drained: Final[set[tuple[str, str]]] = set()  # (region, namespace id) in HANDOVER, and drained
        self.versions: Final[dict[str, set[int]]] = {}  # failover versions there were, by namespace id
        self.met: Final = Met()
        self._lives = 0
        self._dispatched: Final[set[tuple[str, bytes]]] = set()
        self._positions: Final[dict[tuple[str, ...], int]] = {}
        self._written: Final[dict[str, set[Item]]] = {}  # last events of batches, by run id
        self._gone: Final[dict[tuple[str, str], Sequence[Item]]] = {}  # (region, run id): what was deleted
        self._back: Final[
            list[tuple[str, str, Sequence[Item]]]
        ] = []  # that came back: region, run id, what was deleted

    def watch(self, region: Region, replication: Replication) -> None:
        """Watch one more life of a region."""
        owner = {version: name for name, version in region.clusters.initial_versions.items()}
        increment = region.clusters.increment

        def committed(namespace: Namespace, what: Committed) -> None:
            written = self._written.setdefault(what.run.key.run_id, set())
            if what.created and not what.made_here and (region.name, what.run.key.run_id) in self._gone:
                gone = self._gone[region.name, what.run.key.run_id]
                self._back.append((region.name, what.run.key.run_id, gone))
            for batch in what.batches:
                written.add(Item(batch.last_event_id, batch.version))
                mine = owner[batch.version % increment] == region.name
                where = f"{region.name}, {what.run.key.workflow_id}/{what.run.key.run_id}"
                again = not what.made_here and what.run.key.workflow_id in self._deleted
                if mine != what.made_here and not again:
                    how = "writes" if what.made_here else "is sent"
                    self.problems.append(
                        f"Owned: {where} {how} events {batch.first_event_id} to {batch.last_event_id}"
                        f" of version {batch.version}"
                    )
                held = namespace.handover and (region.name, namespace.id) in self.drained
                if what.made_here and held and batch.version == namespace.record.failover_version:
                    self.problems.append(f"NoWriteInHandover: {where} writes event {batch.first_event_id}")
            self.starts.committed(region.name, what)
            if not what.made_here:
                self._meet(namespace, what, owner, increment)

        def changed(namespace: Namespace, before: NamespaceRecord | None) -> None:
            self.versions.setdefault(namespace.id, set()).add(namespace.record.failover_version)
            if not namespace.handover:
                self.drained.discard((region.name, namespace.id))

        region.changes.listeners.append(committed)
        region.namespaces.listeners.append(changed)
        self._keep_applied(region, replication)
        self._watch_dispatch(region)

    def _meet(self, namespace: Namespace, what: Committed, owner: Mapping[int, str], increment: int) -> None:
        record, run = namespace.record, what.run
        for batch in what.batches:
            if not run.record.zombie and batch.branch_id == run.version_history.branch_id:
                continue  # it has not lost
            ids = range(batch.first_event_id, batch.last_event_id + 1)
            events = {Lost(run.key.run_id, event_id, batch.version) for event_id in ids}
            if _active_under.get() == record.failover_version:
                self.met.active.update(events)
            elif not namespace.active and owner[batch.version % increment] != record.active_cluster:
                self.met.passive.update(events)

    def _keep_applied(self, region: Region, replication: Replication) -> None:
        apply = replication._apply
        together, alone = apply.apply_together, apply.apply_tasks
        kept = self.applied.setdefault(region.name, [])

        def begin(namespace_id: str) -> None:
            namespace = region.namespaces.by_id(namespace_id)
            _active_under.set(namespace.record.failover_version if namespace.active else 0)

        async def apply_together(
            namespace_id: str, source: str, tasks: Mapping[str, list[ReplicationTask]], position: int | None
        ) -> set[str]:
            begin(namespace_id)
            kept.extend((namespace_id, source, workflow_id, own) for workflow_id, own in tasks.items())
            left = await together(namespace_id, source, tasks, position)
            for workflow_id in tasks.keys() - left:
                self._note_deletions(region.name, tasks[workflow_id])
            return left

        async def apply_tasks(
            namespace_id: str, source: str, workflow_id: str, tasks: list[ReplicationTask]
        ) -> None:
            begin(namespace_id)
            kept.append((namespace_id, source, workflow_id, tasks))
            await alone(namespace_id, source, workflow_id, tasks)
            self._note_deletions(region.name, tasks)

        apply.apply_together = apply_together  # type: ignore[method-assign]
        apply.apply_tasks = apply_tasks  # type: ignore[method-assign]

    def _note_deletions(self, region: str, tasks: Iterable[ReplicationTask]) -> None:
        for task in tasks:
            if task.WhichOneof("task") == "deletion":
                self._gone[region, task.deletion.run_id] = version_history.values(task.deletion.items)

    def judge_deletions(self) -> None:
        """What was deleted may come back by what somebody wrote who did not know of that, and only so."""
        for region, run_id, gone in self._back:
            if all(version_history.contains(gone, item) for item in self._written[run_id]):
                self.problems.append(
                    f"DeletedForGood: {region} has got {run_id} back, which had ended as {gone}"
                )

    def _watch_dispatch(self, region: Region) -> None:
        self._lives += 1
        life = f"{region.name}, life {self._lives}"
        workflow_task, poll_activity = region.answers.workflow_task, region.matching.poll_activity_task

        async def answer(
            started: StartedTask, queries: Mapping[str, WorkflowQuery], backlog: int
        ) -> PollWorkflowTaskQueueResponse:
            if (
                not started.transient_events
            ):  # one that is in memory only may be lost with that, and come again
                self._dispatch(life, started.token)
            return await workflow_task(started, queries, backlog)

        async def poll(
            namespace: Namespace, request: PollActivityTaskQueueRequest, timeout: float
        ) -> PollActivityTaskQueueResponse:
            found = await poll_activity(namespace, request, timeout)
            if found.task_token:
                self._dispatch(region.name, TaskToken.load(found.task_token))
            return found

        region.answers.workflow_task = answer  # type: ignore[method-assign]
        region.matching.poll_activity_task = poll  # type: ignore[method-assign]

    def _dispatch(self, where: str, token: TaskToken) -> None:
        key = (where, token._replace(started_time=0).dump())
        if key in self._dispatched and token.workflow_id not in self._deleted:
            self.problems.append(f"SingleDispatch: {where} hands {token} out again")
        self._dispatched.add(key)

    async def look(self, regions: Mapping[str, Region], namespace_id: str) -> None:
        """Compare the positions of all regions that are up with each other, and with earlier ones."""
        last: dict[str, int] = {}
        applied: dict[tuple[str, str], int] = {}  # (source, target)
        acked: dict[tuple[str, str], int] = {}
        for name, region in regions.items():
            others = [other for other in region.clusters.initial_versions if other != name]
            last[name] = await region.store.read(lambda c: log.last_position(c, namespace_id))
            for other in others:
                acked[name, other] = await region.store.read(
                    lambda c, peer=other: positions.acked(c, namespace_id, peer)  # type: ignore[misc]
                )
                applied[other, name] = await region.store.read(
                    lambda c, peer=other: positions.applied(c, namespace_id, peer)  # type: ignore[misc]
                )
        for kind, values in (("acked", acked), ("applied", applied)):
            for (source, target), value in values.items():
                self._rises(value, kind, namespace_id, source, target)
        for name, value in last.items():
            self._rises(value, "written", namespace_id, name)
        for (source, target), value in acked.items():
            if value > applied.get((source, target), value):
                self.problems.append(
                    f"AckMonotone: {source} takes {value} for applied in {target}: {applied[source, target]}"
                )
        for (source, target), value in applied.items():
            if value > last.get(source, value):
                self.problems.append(
                    f"AckMonotone: {target} has {value} of {source}, which has {last[source]}"
                )

    def _rises(self, value: int, *what: str) -> None:
        before = self._positions.get(what, 0)
        if value < before:
            self.problems.append(f"AckMonotone: {what} falls from {before} to {value}")
        self._positions[what] = value
