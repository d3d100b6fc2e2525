"""Replication tasks of one workflow id become outcomes, under its lock.

`core` decides, this carries the pieces.

What cannot be done under the lock ends the plan with a need (`needs`); the caller meets it and plans again. A plan that
ends so has changed runs in memory; the engine drops them. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from google.protobuf.message import DecodeError
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent

from mockcloud.api.replication.v1.replication_pb2 import (
    ActivityState,
    HistoryBatch,
    ReplicationTask,
    RunDeletion,
    RunStateRecord,
    ScheduleState,
)
from mockcloud.api.state.v1.state_pb2 import RunAt, VersionHistories, VersionHistoryItem
from mockcloud.core import conflict, fold, passive, reapply, reset, two_runs, version_history
from mockcloud.core.change import RunChange
from mockcloud.core.conflict import (
    Append,
    Backfill,
    Duplicate,
    Existing,
    Incoming,
    Invalid,
    Missing,
    Switch,
    UnknownRun,
)
from mockcloud.core.outcome import Outcome
from mockcloud.core.run import Run, RunKey
from mockcloud.core.version_history import Item
from mockcloud.engine.plans import InTransaction, Loaded, Replicated
from mockcloud.engine.resets import reset_closed
from mockcloud.engine.schedules import Schedules
from mockcloud.replication import reapplying
from mockcloud.replication.batches import incoming_of, marked, signal_request_ids, wanted_of
from mockcloud.replication.needs import (
    Helped,
    NeedAgainError,
    NeedAloneError,
    NeedCallError,
    NeedRangeError,
    NeedReapplyError,
    NeedRecordError,
    ParkedError,
    RefusedError,
)
from mockcloud.store import deletions


class TaskPlan:
    """Outcomes of tasks that are applied in one transaction, in their order."""

    def __init__(self, loaded: Loaded, helped: Helped, schedules: Schedules) -> None:
        self._loaded = loaded
        self._helped = helped
        self._schedules = schedules
        self._context = loaded.context()
        self._runs: dict[str, Run | None] = {}
        self._current_run_id: str | None = None
        self._added = 0
        self._outcomes: list[Outcome] = []
        # In which events of losing branches are written again on the current run, as long as nothing else changes it.
        self._reapplying: RunChange | None = None
        self._deleted: list[RunKey] = []
        self._histories_deleted: dict[str, VersionHistories | None] = {}  # of unknown runs
        self._also: list[InTransaction] = []
        self._then: list[Callable[[], None]] = []

    def result(self) -> Replicated:
        """All that was planned so far. Raises as `add`, if the fence forbids it."""
        self._end_reapplying()
        return Replicated(self._outcomes, self._also, self._deleted, self._then)

    async def add(self, task: ReplicationTask, *, fetched: bool = False) -> None:
        """Plan one more task; one that was `fetched` may bring back what is deleted here. Raises PlanEndedError."""
        self._added += 1
        kind = task.WhichOneof("task")
        if kind != "history":
            self._end_reapplying()
        try:
            match kind:
                case "history":
                    await self._history(task.history, fetched=fetched)
                case "activity":
                    await self._activity(task.activity)
                case "run_state":
                    await self._run_state(task.run_state)
                case "deletion":
                    await self._deletion(task.deletion)
                case "schedule":
                    await self._schedule(task.schedule)
                case _:
                    raise ParkedError(f"replication tasks of kind {kind} are not built")
        except fold.UnsupportedEvent as error:
            raise ParkedError(str(error)) from error
        except (DecodeError, version_history.NoCommonAncestorError) as error:
            raise RefusedError(str(error)) from error

    async def _run(self, run_id: str) -> Run | None:
        """A run as this plan leaves it: to be touched before it is changed."""
        if run_id not in self._runs:
            self._runs[run_id] = await self._loaded.look(run_id)
        return self._runs[run_id]

    async def _run_with_state(self, run_id: str, messages: Iterable[VersionHistoryItem]) -> Run | None:
        """The run whose state a task brings; None: it is deleted here, and the task says nothing any more.

        State may come from another region than the run, and before it: then the run comes first, from there.
        """
        items = version_history.values(messages)
        if not version_history.is_well_formed(items):
            raise RefusedError("a version history is malformed")
        run = await self._run(run_id)
        if run is None and await self._histories_of_deleted(run_id) is None:
            raise NeedRangeError(self._loaded.key(run_id), Item(0, 0), version_history.last_item(items))
        return run

    async def _histories_of_deleted(self, run_id: str) -> VersionHistories | None:
        if run_id not in self._histories_deleted:
            self._histories_deleted[run_id] = await self._loaded.deleted(self._loaded.key(run_id))
        return self._histories_deleted[run_id]

    async def _current(self) -> Run | None:
        """The current run of the workflow id, as this plan leaves it."""
        if self._current_run_id is None:
            row = await self._loaded.current()
            self._current_run_id = row.run_id if row else ""
        return await self._run(self._current_run_id) if self._current_run_id else None

    def _put(self, outcome: Outcome) -> None:
        self._loaded.touch(outcome.run.key.run_id)
        self._runs[outcome.run.key.run_id] = outcome.run
        last = self._outcomes[-1] if self._outcomes else None
        # Batches that follow each other share the work of a commit.
        if last is not None and last.run is outcome.run and not last.replicate and not outcome.replicate:
            last.forks += outcome.forks
            last.batches += outcome.batches
            last.becomes_current |= outcome.becomes_current
            last.update_ends = {**last.update_ends, **outcome.update_ends}
            return
        self._outcomes.append(outcome)

    async def _history(self, batch: HistoryBatch, *, fetched: bool = False) -> None:
        events = list(History.FromString(batch.events).events)
        incoming = incoming_of(batch, events)
        record = self._loaded.namespace.record
        if incoming.last.version > record.failover_version and not self._helped.refreshed:
            raise NeedRecordError
        key = self._loaded.key(batch.run_id)
        run = await self._run(batch.run_id)
        if run is not None:
            plan = conflict.decide(run.record.version_histories, incoming)
        else:
            deleted = None if fetched else await self._histories_of_deleted(batch.run_id)
            plan = conflict.decide(None, incoming, deleted)
        if not isinstance(plan, Duplicate):
            self._loaded.touch(batch.run_id)
        if self._changes_target(run, plan):
            self._end_reapplying()
        if run is not None and not isinstance(plan, Duplicate | Invalid | Missing):
            settled = passive.settle(run, self._context)
            if settled is not None:
                self._put(settled)
                plan = conflict.decide(run.record.version_histories, incoming)
        await self._carry_out(key, run, batch, incoming, events, plan)
        if batch.HasField("new_run"):
            await self._history(batch.new_run, fetched=fetched)

    async def _carry_out(
        self,
        key: RunKey,
        run: Run | None,
        batch: HistoryBatch,
        incoming: Incoming,
        events: list[HistoryEvent],
        plan: conflict.Plan,
    ) -> None:
        context = self._context
        extra = passive.Extra(batch.create_request_id, signal_request_ids(batch, events), batch.events)
        match plan:
            case Duplicate():
                return
            case Invalid(reason):
                raise RefusedError(reason)
            case Missing(after, until):
                raise NeedRangeError(key, after, until, filled=batch.filled)
            case UnknownRun(is_start=False) if 0 < batch.base.item.event_id < events[0].event_id:
                await self._create_reset(key, batch, events, extra)
                return
            case UnknownRun(is_start=False):
                before = events[0].event_id - 1
                last = version_history.until(incoming.items, before)[-1]
                raise NeedRangeError(key, Item(0, 0), last, filled=batch.filled)
            case UnknownRun():
                if events[0].event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                    raise RefusedError("the first event of a run does not start it")
                created = marked(passive.create(key, events, context, extra), batch)
                await self._rank(created, wanted_of(batch, events))
                return
        assert run is not None, "only an unknown run has no branches"
        if events[0].event_id < plan.first_event_id:
            events = [event for event in events if event.event_id >= plan.first_event_id]
            extra = extra._replace(data=b"")
        wanted = wanted_of(batch, events)
        match plan:
            case Append():
                await self._rank(marked(passive.append(run, events, context, extra), batch), wanted)
            case Backfill():
                self._put(passive.backfill(run, plan.target, events, context))
                await self._reapply(run.key, wanted, incoming.items)
            case Switch():
                target = plan.target
                index = target.index if isinstance(target, Existing) else target.parent_index
                branch_id = run.record.version_histories.histories[index].branch_id
                shared = await self._loaded.fold_branch(key.run_id, branch_id, plan.first_event_id)
                await self._rank(passive.switch(run, shared, target, events, context, extra), wanted)

    async def _create_reset(
        self, key: RunKey, batch: HistoryBatch, events: list[HistoryEvent], extra: passive.Extra
    ) -> None:
        """A run that goes on from an event of another one: both regions copy that from what they have."""
        base = batch.base
        base_key, last = self._loaded.key(base.run_id), Item.of(base.item)
        run = await self._run(base.run_id)
        branch = conflict.branch_with(run.record.version_histories, last) if run else None
        if run is None and await self._histories_of_deleted(base.run_id) is not None:
            # Fetched again, it would be left open at the point of the reset, with nobody to close it.
            until = Item(events[-1].event_id, events[-1].version)
            raise NeedRangeError(key, Item(0, 0), until, with_copy=True, filled=batch.filled)
        if run is None or branch is None:
            raise NeedRangeError(base_key, Item(0, 0), last, filled=batch.filled)
        self._end_reapplying()
        self._loaded.touch(base.run_id)
        finish = last.event_id + 1
        batches = await self._loaded.batches(branch.branch_id, 1, finish)
        copies = reset.copied(batches, self._context.next_task_id(), finish)
        made = await self._loaded.fold_branch(key.run_id, branch.branch_id, finish)
        reset.adopt(made, copies, base.run_id, last, base.reset_time)
        run.record.reset_run_id = key.run_id
        self._put(Outcome(run=run))
        created = passive.create_reset(made, copies, events, self._context, extra)
        await self._rank(created, wanted_of(batch, events))

    async def _rank(self, outcome: Outcome, wanted: list[HistoryEvent]) -> None:
        """Put the outcome of a run, and what it does to the order of runs: an older one reapplies what is `wanted`."""
        run, current = outcome.run, await self._current()
        if current is None or current.key == run.key:
            outcome.becomes_current = outcome.created
            self._put(outcome)
            self._current_run_id = run.key.run_id
            return
        if two_runs.is_newer(run, current):
            self._end_reapplying()
            self._loaded.touch(current.key.run_id)
            if current.open:
                self._put(two_runs.suppress(current, run, self._context))
            run.record.zombie = False
            outcome.becomes_current = True
            self._put(outcome)
            self._current_run_id = run.key.run_id
            return
        run.record.zombie = run.open
        self._put(outcome)
        await self._reapply(run.key, wanted)

    async def _deletion(self, deletion: RunDeletion) -> None:
        """A run that this region wrote last goes with a deletion of its own behind what it wrote.

        The region where it was deleted gets that again otherwise, by what it did not know of, and keeps it for ever.
        """
        run = await self._run(deletion.run_id)
        if run is None:
            await self._remember_deletion(deletion, VersionHistories())
        elif run.last_write_version <= deletion.version:
            self._loaded.touch(deletion.run_id)
            context = self._context
            if context.clusters.owner(run.last_write_version) == context.region:
                self._put(Outcome(run=run, replicate=True, deleted=True))
            await self._remember_deletion(deletion, run.record.version_histories)
            self._deleted.append(run.key)
            self._runs[deletion.run_id] = None

    async def _remember_deletion(self, deletion: RunDeletion, histories: VersionHistories) -> None:
        """Keep what is deleted of a run: the branches that it had here, and the one that it had there."""
        together = VersionHistories()
        together.CopyFrom(histories)
        before = await self._histories_of_deleted(deletion.run_id)
        together.histories.extend(before.histories if before else ())
        together.histories.add(items=deletion.items)
        self._histories_deleted[deletion.run_id] = together
        key, now = self._loaded.key(deletion.run_id), self._context.now
        keep = self._loaded.namespace.record.retention
        self._also.append(
            partial(deletions.put_deletion, **key._asdict(), histories=together, now=now, keep=keep)
        )

    async def _reapply(self, source: RunKey, events: list[HistoryEvent], losing: Sequence[Item] = ()) -> None:
        """Events of a losing branch or run go to the current run, in the region that is active.

        `losing` is the version history of the branch where it is one.
        """
        if not events:
            return
        namespace = self._loaded.namespace
        if not namespace.active:
            events = reapply.for_other_run(events)
            if events and not self._helped.reapplied:
                raise NeedReapplyError(namespace.record.active_cluster, source, events)
            return
        target = await self._current()
        if target is None:
            return  # the current run is deleted here
        events = reapplying.missing(self._loaded, target, source.run_id, events, losing)
        if not events:
            return
        self._loaded.touch(target.key.run_id)
        if target.open:
            if self._reapplying is None:
                self._reapplying = reapplying.begin(self._loaded, target)
            assert self._reapplying.run is target, (
                "another run becomes current by a change that ends this one"
            )
            reapply.reapply(self._reapplying, source.run_id, events)
            return
        self._end_reapplying()
        if self._added > 1:
            raise NeedAloneError
        for outcome in await reset_closed(namespace, self._loaded, target, source.run_id, events):
            self._put(outcome)
            if outcome.becomes_current:
                self._current_run_id = outcome.run.key.run_id

    def _changes_target(self, run: Run | None, plan: conflict.Plan) -> bool:
        """Whether the run that events are written again on changes otherwise by `plan` for `run`."""
        if self._reapplying is None or run is not self._reapplying.run:
            return False
        return not isinstance(plan, Backfill) or bool(run.record.buffered_events)  # which are settled first

    def _end_reapplying(self) -> None:
        change, self._reapplying = self._reapplying, None
        if change is None:
            return
        if change.context.namespace is not self._loaded.namespace.record:
            raise NeedAgainError
        for outcome in reapplying.finish(self._loaded, change):
            self._put(outcome)

    async def _activity(self, state: ActivityState) -> None:
        run = await self._run_with_state(state.run_id, state.items)
        if run is None:
            return
        self._loaded.touch(state.run_id)
        items = version_history.values(state.items)
        done = passive.sync_activity(run, items, state.activity, self._context)
        if isinstance(done, Missing):
            raise NeedRangeError(run.key, done.after, done.until)
        if done is not None:
            self._put(done)

    async def _run_state(self, state: RunStateRecord) -> None:
        run = await self._run_with_state(state.run_id, state.items)
        if run is None:
            return
        self._loaded.touch(state.run_id)
        if passive.takes_close_errands(run, state.close_errands, self._context):
            for other in state.close_errands.rests_on:
                await self._has_come_as_far(other)
        for done in (
            passive.merge_reapplied(run, state.reapplied),
            passive.merge_close_errands(run, state.close_errands, self._context),
            passive.merge_problems(run, state.problems, self._context)
            if state.HasField("problems")
            else None,
        ):
            if done is not None:
                self._put(done)

    async def _has_come_as_far(self, other: RunAt) -> None:
        """A run of any workflow id is here as far as it was there, or it is deleted; otherwise the plan ends."""
        key = RunKey(self._loaded.namespace.id, other.workflow_id, other.run_id)
        items = version_history.values(other.items)
        if key in self._helped.gone or not version_history.is_well_formed(items):
            return
        last = version_history.last_item(items)
        histories = await self._loaded.histories_of(key)
        if histories is None:
            if await self._loaded.deleted(key) is None:
                raise NeedRangeError(key, Item(0, 0), last)
        elif conflict.branch_with(histories, last) is None:
            branches = [version_history.items(history) for history in histories.histories]
            raise NeedRangeError(key, version_history.find_ancestor(branches, items).item, last)

    async def _schedule(self, message: ScheduleState) -> None:
        """A schedule is replicated as state: the newer one holds. Calls of the older one are made again here."""
        namespace = self._loaded.namespace
        if message.record.version > namespace.record.failover_version and not self._helped.refreshed:
            raise NeedRecordError
        call = await self._schedules.lost_call(namespace, message)
        if call is not None and not self._helped.called:
            raise NeedCallError(call)
        store, committed = self._schedules.receive(namespace, message.record)
        self._also.append(store)
        self._then.append(committed)
