"""The rules of updates and of speculative workflow tasks, without an engine."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from google.protobuf import message as protobuf
from google.protobuf.any_pb2 import Any as AnyMessage
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from temporalio.api.command.v1 import Command, ProtocolMessageCommandAttributes
from temporalio.api.enums.v1 import CommandType, EventType, UpdateAdmittedEventOrigin
from temporalio.api.failure.v1 import Failure
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Input, Meta, Outcome, Rejection, Request, Response
from temporalio.api.workflowservice.v1 import (
    RespondWorkflowTaskCompletedRequest,
    UpdateWorkflowExecutionRequest,
)

from mockcloud.core import times, updates, workflow_task
from mockcloud.core.change import RunChange
from mockcloud.core.derive import derive, derive_live
from mockcloud.core.derived import TaskKind
from mockcloud.core.due import next_due, next_stored_due
from mockcloud.core.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    ServiceError,
)
from mockcloud.core.limits import Limits
from mockcloud.core.outcome import Outcome as ChangeOutcome
from mockcloud.core.task_completion import start_speculative_task
from mockcloud.core.task_start import StartedTask
from mockcloud.core.update_state import Forgotten, Rejected, UpdateEnd, UpdateStage
from tests.core.lives import complete_workflow, start_timer
from tests.core.makers import Life, World, payloads, same_state, short
from tests.core.test_fold_property import RunMachine

REAPPLY = UpdateAdmittedEventOrigin.UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY


def request(update_id: str = "u", size: int = 1) -> Request:
    return Request(meta=Meta(update_id=update_id), input=Input(name="n" * size))


def message(update_id: str, body: protobuf.Message) -> Message:
    packed = AnyMessage()
    packed.Pack(body)
    return Message(id=f"{update_id}-{body.DESCRIPTOR.name}", protocol_instance_id=update_id, body=packed)


def accept(update_id: str) -> Message:
    body = Acceptance(accepted_request_message_id="m", accepted_request_sequencing_event_id=1)
    return message(update_id, body)


def answer(update_id: str) -> Message:
    return message(
        update_id, Response(meta=Meta(update_id=update_id), outcome=Outcome(success=payloads("done")))
    )


def reject(update_id: str) -> Message:
    return message(update_id, Rejection(failure=Failure(message="no")))


def command(of: Message) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE,
        protocol_message_command_attributes=ProtocolMessageCommandAttributes(message_id=of.id),
    )


class UpdatedLife(Life):
    """A run that is updated. As in the engine, what is in memory only is not committed."""

    def __init__(self, world: World | None = None) -> None:
        self.ends: dict[str, UpdateEnd] = {}
        super().__init__(world or World())

    def commit(self, change: RunChange) -> ChangeOutcome:
        self.ends = dict(change.update_ends)
        if not change.changed:
            return ChangeOutcome(change.run)
        return super().commit(change)

    def update(self, update_id: str = "u", size: int = 1) -> RunChange:
        change = self.change()
        updates.admit(change, UpdateWorkflowExecutionRequest(request=request(update_id, size)))
        self.commit(change)
        return change

    def take(self) -> StartedTask:
        (offer,) = (o for o in derive_live(self.run, derive(self.run)).offers if o.kind is TaskKind.WORKFLOW)
        change = self.change()
        started = workflow_task.start_workflow_task(change, offer, "poll", "worker")
        assert started is not None
        self.commit(change)
        return started

    def complete(
        self,
        task: StartedTask,
        messages: Sequence[Message] = (),
        commands: Iterable[Command] = (),
        **fields: Any,
    ) -> workflow_task.Completion:
        completed = RespondWorkflowTaskCompletedRequest(
            identity="worker", messages=messages, commands=commands, **fields
        )
        change = self.change()
        completion = workflow_task.complete_workflow_task(change, task.token, completed, lambda: "run-2")
        self.commit(change)
        if completion.speculative_next:
            change = self.change()
            start_speculative_task(change, completed)
            assert not change.changed
        return completion

    def idle(self) -> UpdatedLife:
        """After its first workflow task."""
        self.complete(self.take())
        return self

    def stored(self) -> bytes:
        return self.run.dump()


@pytest.fixture
def life() -> UpdatedLife:
    return UpdatedLife().idle()


def test_an_admission_stores_nothing_and_offers_a_task(life: UpdatedLife) -> None:
    before = life.stored()
    change = life.update()

    assert change.in_memory
    assert not change.changed
    assert life.stored() == before
    stored = derive(life.run)
    assert not stored.offers
    assert next_stored_due(life.run) is None
    assert next_due(life.run) == life.world.now() + 5 * times.SECOND
    (offer,) = derive_live(life.run, stored).offers
    assert offer.scheduled_event_id == life.run.next_event_id


def test_a_task_of_rejections_was_never_there(life: UpdatedLife) -> None:
    before, state = life.stored(), copy.deepcopy(life.run)
    life.update()
    completion = life.complete(life.take(), [reject("u")])

    assert completion.reset_history_event_id == life.run.last_completed_task_started_event_id
    assert life.stored() == before
    assert same_state(life.run, state) == []
    assert life.ends == {"u": Rejected(Failure(message="no"))}


def test_acceptance_and_outcome_are_kept_by_the_fold(life: UpdatedLife) -> None:
    life.update()
    life.complete(life.take(), [accept("u")])
    accepted = life.run.updates["u"]
    assert accepted.stage is UpdateStage.ACCEPTED
    assert not life.run.pending_updates
    assert life.rebuilt().updates == {"u": accepted}

    life.update("v")
    life.complete(life.take(), [answer("u"), reject("v")])
    completed = life.run.updates["u"]
    assert completed.stage is UpdateStage.COMPLETED
    assert life.rebuilt().updates == {"u": completed}
    attributes = life.events[-1].workflow_execution_update_completed_event_attributes
    assert attributes.accepted_event_id == accepted.event_id


def test_messages_stand_where_their_commands_do(life: UpdatedLife) -> None:
    life.update()
    task = life.take()
    both = [accept("u"), answer("u")]
    first, second = map(command, both)
    life.complete(task, both, [start_timer("a"), first, start_timer("b"), second])
    assert life.types(8) == [
        "TIMER_STARTED",
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        "TIMER_STARTED",
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    ]


def test_bad_messages_undo_everything(life: UpdatedLife) -> None:
    life.update()
    life.update("v")
    task = life.take()
    life.update("w")
    completion = life.complete(task, [accept("u"), answer("v")])

    assert isinstance(completion.error, InvalidArgument)
    assert not life.run.updates
    assert life.types(5) == [
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_FAILED",
    ]
    assert life.ends["w"] == Forgotten()  # it was not sent, so it may come again
    assert not life.run.pending_updates


def test_who_waits_for_an_outcome_learns_of_the_acceptance_when_a_task_fails(life: UpdatedLife) -> None:
    life.update()
    life.complete(life.take(), [accept("u")], force_create_new_workflow_task=True)
    life.complete(life.take(), [accept("u")])
    assert life.ends == {"u": Forgotten()}
    assert life.run.updates["u"].stage is UpdateStage.ACCEPTED


def test_what_came_meanwhile_needs_a_task_of_its_own(life: UpdatedLife) -> None:
    life.update()
    task = life.take()
    life.update("v")
    completion = life.complete(task, [reject("u")], return_new_workflow_task=True)

    assert completion.speculative_next
    started = life.run.speculative_task
    assert started is not None
    assert started.started_time
    assert [*life.run.pending_updates] == ["v"]
    assert life.types(5) == []


def test_what_was_admitted_under_another_version_is_void(life: UpdatedLife) -> None:
    life.update()
    life.world.version = 11
    change = life.update("v")
    assert change.update_ends == {"u": Forgotten()}
    assert [*life.run.pending_updates] == ["v"]


def test_a_failover_takes_a_speculative_task_away_without_a_trace(life: UpdatedLife) -> None:
    life.update()
    life.take()
    life.world.version = 11
    change = life.change()
    assert change.in_memory
    assert not change.changed
    assert life.run.workflow_task is None


def test_a_restart_forgets(life: UpdatedLife) -> None:
    life.update()
    life.take()
    restarted = life.rebuilt()
    assert restarted.workflow_task is None
    assert not restarted.has_memory
    life.run.forget_memory()
    assert same_state(life.run, restarted) == []


def test_the_same_id_is_let_in_once(life: UpdatedLife) -> None:
    life.update()
    assert not life.update().in_memory
    life.run.record.ClearField("workflow_task")
    assert life.update().in_memory, "its task was lost, and is made again"
    life.complete(life.take(), [accept("u"), answer("u")])
    assert not life.update().in_memory


def test_closed_runs() -> None:
    life = UpdatedLife().idle()
    life.update()
    life.complete(life.take(), [accept("u"), answer("u")])
    life.update("w")
    life.complete(life.take(), (), [complete_workflow()])
    life.update()  # there is something to tell of it
    with pytest.raises(NotFound, match="already completed"):
        life.update("v")
    life.update("w")  # aborted by the close, which its callers are told


def test_limits() -> None:
    life = UpdatedLife(
        World(limits=Limits(updates_in_flight=2, updates_in_flight_bytes=1000, updates_per_run=3))
    ).idle()
    with pytest.raises(ResourceExhausted, match=r"total payload size of in-flight updates .* \(1000 bytes\)"):
        life.update("big", 1000)
    life.update("a", 400)
    with pytest.raises(ResourceExhausted, match="total payload size"):
        life.update("b", 600)
    life.update("b", 100)
    with pytest.raises(ResourceExhausted, match=r"concurrent in-flight updates has been reached \(2\)"):
        life.update("c")
    life.complete(life.take(), [accept("a"), answer("a"), accept("b")])
    life.update("c")
    with pytest.raises(ResourceExhausted, match="concurrent"):
        life.update("d")
    life.complete(life.take(), [answer("b"), accept("c"), answer("c")])
    assert updates.update_count(life.run) == 3
    assert updates.suggest_continue_as_new(life.run, life.world.limits)
    with pytest.raises(FailedPrecondition, match=r"has been reached \(3\)"):
        life.update("d")


# Updates that history has admitted


def admit_again(life: UpdatedLife, update_id: str = "u") -> bool:
    change = life.change()
    new = updates.admit_durably(change, request(update_id), REAPPLY)
    workflow_task.schedule_workflow_task(change)
    life.commit(change)
    return new


def test_an_admitted_event_is_the_request(life: UpdatedLife) -> None:
    assert admit_again(life)
    assert not admit_again(life)
    task = life.take()
    assert task.messages == ()
    life.complete(task, [accept("u"), answer("u")])

    assert life.types(5) == [
        "WORKFLOW_EXECUTION_UPDATE_ADMITTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    ]
    accepted = life.events[8].workflow_execution_update_accepted_event_attributes
    assert not accepted.HasField("accepted_request")


def test_its_rejection_is_not_asked_for_again(life: UpdatedLife) -> None:
    admit_again(life)
    life.complete(life.take(), [reject("u")], return_new_workflow_task=True)
    assert life.run.workflow_task is None
    life.update()  # who asks anew is let in anew
    assert [each.protocol_instance_id for each in life.take().messages] == ["u"]


def test_it_waits_in_the_buffer_like_a_signal(life: UpdatedLife) -> None:
    life.update("other")
    task = life.take()
    admit_again(life)
    assert life.rebuilt().updates == life.run.updates
    life.complete(task, [reject("other")])
    admitted = life.run.updates["u"]
    assert short(life.events[admitted.event_id - 1]) == "WORKFLOW_EXECUTION_UPDATE_ADMITTED"


# Whatever happens


IDS = st.sampled_from(["u", "v", "w", "x"])


class UpdateMachine(RunMachine):
    """Updates among everything else that may happen to a run (`test_fold_property`)."""

    def __init__(self) -> None:
        super().__init__()
        self.life: UpdatedLife = UpdatedLife()

    @precondition(lambda self: self.open and self.active)
    @rule(update_id=IDS)
    def update(self, update_id: str) -> None:
        try:
            self.life.update(update_id)
        except ServiceError:
            run = self.life.run
            assert run.paused or run.close_attempted or run.record.next_workflow_task_attempt > 2

    @precondition(lambda self: self.open and self.active)
    @rule(update_id=IDS)
    def reapply(self, update_id: str) -> None:
        admit_again(self.life, update_id)

    @precondition(lambda self: self.life.run.speculative_task is not None and not self.started)
    @rule()
    def take_the_speculative_task(self) -> None:
        offers = derive_live(self.life.run, derive(self.life.run)).offers
        for offer in offers - derive(self.life.run).offers:
            change = self.life.change()
            workflow_task.start_workflow_task(change, offer, "poll", "worker")
            self.life.commit(change)

    @precondition(lambda self: self.started)
    @rule(answers=st.lists(st.sampled_from(["accept", "answer", "reject", "pass"]), min_size=8, max_size=8))
    def answer_updates(self, answers: list[str]) -> None:
        change = self.life.change()
        if change.changed:
            self.life.commit(change)
            return
        run = self.life.run
        messages: list[Message] = []
        known = dict.fromkeys([*run.pending_updates, *run.updates])
        for update_id, each in zip(known, answers, strict=False):
            pending = run.pending_updates.get(update_id)
            if pending is not None and pending.sent and not pending.rejected:
                if each == "reject":
                    messages.append(reject(update_id))
                elif each != "pass":
                    messages.append(accept(update_id))
            elif (
                pending is None and run.updates[update_id].stage is UpdateStage.ACCEPTED and each == "answer"
            ):
                messages.append(answer(update_id))
        request_ = RespondWorkflowTaskCompletedRequest(identity="worker", messages=messages)
        workflow_task.complete_workflow_task(change, workflow_task.task_token(run), request_, lambda: "run-2")
        self.life.commit(change)

    def folding_again_gives_the_same_run(self) -> None:
        run = copy.deepcopy(self.life.run)
        run.forget_memory()
        assert same_state(run, self.life.rebuilt()) == []
        accepted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
        ids = [
            event.workflow_execution_update_accepted_event_attributes.protocol_instance_id
            for event in self.life.events
            if event.event_type == accepted
        ]
        assert len(set(ids)) == len(ids)


TestUpdates = UpdateMachine.TestCase
TestUpdates.settings = RunMachine.TestCase.settings
