"""Whatever happens to a run, folding its events again under its stored record gives the same run."""

from __future__ import annotations

from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from temporalio.api.command.v1 import (
    CancelTimerCommandAttributes,
    Command,
    RequestCancelActivityTaskCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    PauseWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetActivityRequest,
    TerminateWorkflowExecutionRequest,
    UnpauseActivityRequest,
    UnpauseWorkflowExecutionRequest,
    UpdateActivityOptionsRequest,
)

from mockcloud.core import (
    activity,
    activity_control,
    children,
    due,
    externals,
    failover,
    fold,
    pause,
    signals,
    times,
    workflow_task,
)
from mockcloud.core.change import RunChange
from mockcloud.core.derive import derive
from mockcloud.core.derived import ErrandKind, TaskKind
from mockcloud.core.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from mockcloud.core.externals import Target
from mockcloud.core.run import Run
from tests.core.makers import Life, World, payloads, same_state
from tests.core.others import cancel_external, closed_child, signal_external, start_child
from tests.core.test_workflow_task import BAD_TIMER, COMPLETE, UNBUILT, complete, fail, send_signal

TARGET = Target("orders", "ns-id")
NAMES = st.sampled_from(["a", "b", "c"])


def start_timer(name: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER,
        start_timer_command_attributes=StartTimerCommandAttributes(
            timer_id=name, start_to_fire_timeout=times.duration(7 * times.SECOND)
        ),
    )


def cancel_timer(name: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_CANCEL_TIMER,
        cancel_timer_command_attributes=CancelTimerCommandAttributes(timer_id=name),
    )


def schedule_activity(name: str, eager: bool) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
            activity_id=name,
            activity_type=ActivityType(name="charge"),
            task_queue=TaskQueue(name="tq"),
            start_to_close_timeout=times.duration(5 * times.SECOND),
            request_eager_execution=eager,
        ),
    )


def cancel_activity(scheduled_event_id: int) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK,
        request_cancel_activity_task_command_attributes=RequestCancelActivityTaskCommandAttributes(
            scheduled_event_id=scheduled_event_id
        ),
    )


class RunMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.life = Life(World())

    @property
    def open(self) -> bool:
        return self.life.run.open

    @property
    def started(self) -> bool:
        return self.life.run.started_workflow_task is not None

    @property
    def active(self) -> bool:
        world = self.life.world
        return world.clusters.owner(world.version) == world.region

    @precondition(lambda self: self.open)
    @rule(name=NAMES)
    def signal(self, name: str) -> None:
        try:
            send_signal(self.life, name)
        except ResourceExhausted:
            assert self.life.run.close_attempted

    @precondition(lambda self: self.open)
    @rule()
    def request_cancel(self) -> None:
        change = self.life.change()
        signals.request_cancel(change, RequestCancelWorkflowExecutionRequest())
        self.life.commit(change)

    @precondition(lambda self: self.open)
    @rule(sticky=st.booleans())
    def take_a_task(self, sticky: bool) -> None:
        for offer in sorted(derive(self.life.run).offers, key=repr):
            change = self.life.change()
            if offer.kind == TaskKind.WORKFLOW:
                workflow_task.start_workflow_task(
                    change, offer, "poll", "worker", sticky=offer.sticky and sticky
                )
            else:
                activity.start_activity(change, offer, "poll", "worker")
            self.life.commit(change)

    @precondition(lambda self: self.started)
    @rule(
        names=st.lists(NAMES, max_size=3, unique=True),
        ending=st.sampled_from(["", "", "", "close", "bad", "unbuilt"]),
        sticky=st.booleans(),
        force=st.booleans(),
        inline=st.booleans(),
    )
    def complete(self, names: list[str], ending: str, sticky: bool, force: bool, inline: bool) -> None:
        change = self.life.change()
        if change.changed:
            self.life.commit(change)  # the touch took the task away
            return
        run = self.life.run
        commands: list[Command] = []
        for name in names:
            known = run.activity_ids.get(name)
            commands.append(cancel_timer(name) if name in run.timers else start_timer(name))
            if known is None:
                commands.append(schedule_activity(name, eager=force))
            elif not run.activities[known].record.cancel_requested:
                commands.append(cancel_activity(known))
        if names:
            commands += [start_child(names[0]), signal_external(names[-1]), cancel_external("other")]
        commands += {"close": [COMPLETE], "bad": [BAD_TIMER], "unbuilt": [UNBUILT]}.get(ending, [])
        token = workflow_task.task_token(run)
        try:
            complete(self.life, token, *commands, sticky=sticky, force=force, inline=inline)
        except InvalidArgument:
            assert self.started
        except FailedPrecondition:
            assert self.life.run.paused
            assert force

    @precondition(lambda self: self.started)
    @rule(really=st.integers(0, 3))
    def fail(self, really: int) -> None:
        change = self.life.change()
        if change.changed:
            self.life.commit(change)
            return
        if really == 0:
            fail(self.life, workflow_task.task_token(self.life.run))

    @precondition(lambda self: bool(self.life.run.activities))
    @rule(good=st.booleans(), data=st.data())
    def end_activity(self, good: bool, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.life.run.activity_ids)))
        token = activity.token_by_id(self.life.run, name)
        change = self.life.change()
        pending = self.life.run.activities[self.life.run.activity_ids[name]]
        if good:
            activity.complete(change, token, payloads("x"), "worker")
        elif pending.started:
            activity.fail(change, token, Failure(message="no"), "worker")
        self.life.commit(change)

    @precondition(lambda self: self.open and bool(derive(self.life.run).errands))
    @rule(data=st.data(), well=st.booleans())
    def an_errand_is_run(self, data: st.DataObject, well: bool) -> None:
        errand = data.draw(st.sampled_from(sorted(derive(self.life.run).errands)))
        where = errand.event_id, errand.version
        change = self.life.change()
        match errand.kind:
            case ErrandKind.START_CHILD if well:
                children.record_started(change, *where, f"child of {errand.event_id}")
            case ErrandKind.START_CHILD:
                children.record_start_failed(change, *where, 1)  # type: ignore[arg-type]
            case ErrandKind.SIGNAL_EXTERNAL:
                externals.record_signal(change, *where, TARGET, None if well else 1)  # type: ignore[arg-type]
            case ErrandKind.CANCEL_EXTERNAL:
                externals.record_cancel(change, *where, TARGET, None if well else 1)  # type: ignore[arg-type]
        self.life.commit(change)
        assert errand not in derive(self.life.run).errands

    @precondition(lambda self: self.open and bool(self.life.run.children))
    @rule(data=st.data())
    def a_child_ends(self, data: st.DataObject) -> None:
        event_id = data.draw(st.sampled_from(sorted(self.life.run.children)))
        child = self.life.run.children[event_id]
        change = self.life.change()
        children.record_closed(
            change,
            closed_child(
                event_id,
                version=child.initiated.version,
                workflow_id=child.attributes.workflow_id,
                first_run_id=child.first_run_id or "a run",
            ),
        )
        self.life.commit(change)
        assert event_id not in self.life.run.children

    @precondition(lambda self: not self.open and bool(derive(self.life.run).errands))
    @rule()
    def its_close_is_told(self) -> None:
        (errand,) = derive(self.life.run).errands
        change = RunChange(self.life.run, self.life.world.context())
        children.close_errands_done(change, errand.event_id, errand.version)
        self.life.commit(change)
        assert not derive(self.life.run).errands

    @precondition(lambda self: self.open)
    @rule(really=st.integers(0, 3))
    def pause_or_unpause(self, really: int) -> None:
        change = self.life.change()
        if self.life.run.paused:
            pause.unpause(change, UnpauseWorkflowExecutionRequest())
        elif really == 0:
            pause.pause(change, PauseWorkflowExecutionRequest())
        self.life.commit(change)

    @precondition(lambda self: bool(self.life.run.activities))
    @rule(what=st.sampled_from(["pause", "unpause", "reset", "change"]), data=st.data())
    def an_operator_comes(self, what: str, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.life.run.activity_ids)))
        change = self.life.change()
        match what:
            case "pause":
                activity_control.pause(change, PauseActivityRequest(id=name))
            case "unpause":
                activity_control.unpause(change, UnpauseActivityRequest(id=name))
            case "reset":
                activity_control.reset(change, ResetActivityRequest(id=name, reset_heartbeat=True))
            case "change":
                request = UpdateActivityOptionsRequest(
                    id=name, update_mask=FieldMask(paths=["start_to_close_timeout"])
                )
                request.activity_options.start_to_close_timeout.seconds = 9
                activity_control.update_options(change, request)
        self.life.commit(change)

    @precondition(lambda self: self.open)
    @rule(seconds=st.integers(1, 20))
    def time_passes(self, seconds: int) -> None:
        self.life.world.advance(seconds * times.SECOND)
        change = self.life.change()
        due.run_due(change)
        self.life.commit(change)

    @precondition(lambda self: self.open)
    @rule(what=st.sampled_from(["nothing"] * 6 + ["lose and regain", "fail over"]))
    def the_namespace_moves(self, what: str) -> None:
        world = self.life.world
        if what == "lose and regain":
            world.version += 10
        elif what == "fail over":
            # The old region closes what it has open, everything replicates, the new one goes on.
            world.version += 1 if world.region == "A" else 9
            change = RunChange(self.life.run, world.context())
            failover.close_task_of_lower_version(change)
            self.life.commit(change)
            world.region = "B" if world.region == "A" else "A"
            self.life.run.record.ClearField("sticky")

    @precondition(lambda self: self.open)
    @rule(really=st.integers(0, 9))
    def terminate(self, really: int) -> None:
        if really == 0:
            change = self.life.change()
            signals.terminate(change, TerminateWorkflowExecutionRequest(reason="enough"))
            self.life.commit(change)

    @rule()
    def restart(self) -> None:
        self.life.run = self.life.rebuilt()

    @invariant()
    def folding_again_gives_the_same_run(self) -> None:
        assert same_state(self.life.run, self.life.rebuilt()) == []

    @invariant()
    def what_hangs_on_it_is_the_same(self) -> None:
        assert derive(self.life.run) == derive(self.life.rebuilt())

    @invariant()
    def nothing_of_a_paused_run_is_offered(self) -> None:
        assert not (self.life.run.paused and derive(self.life.run).offers)

    @invariant()
    def another_region_folds_the_same(self) -> None:
        run = self.life.run
        if run.record.buffered_events:
            return
        other = Run(run.key)
        for event in self.life.events:
            fold.fold(other, event)
        assert other.timers == run.timers
        assert other.pause == run.pause
        assert other.activity_ids == run.activity_ids
        assert (other.status, other.next_event_id) == (run.status, run.next_event_id)
        assert other.record.history_size == run.record.history_size
        assert list(other.version_history.items) == list(run.version_history.items)
        if run.open and other.workflow_task is not None:
            assert run.workflow_task is not None

    @invariant()
    def ids_follow_each_other_and_versions_never_fall(self) -> None:
        events = self.life.events
        assert [event.event_id for event in events] == list(range(1, len(events) + 1))
        versions = [event.version for event in events]
        assert versions == sorted(versions)

    @invariant()
    def nothing_waits_unless_a_worker_has_the_task(self) -> None:
        assert self.started or not self.life.run.record.buffered_events


RunMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestRun = RunMachine.TestCase
