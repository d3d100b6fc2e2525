"""Laws of chains: whatever happens to the runs of one, each leads to the next and no two are open."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import ContinueAsNewInitiator, WorkflowExecutionStatus

from mockcloud.core import due, retry, times, workflow_task
from mockcloud.core.derive import workflow_task_offer
from mockcloud.core.errors import FailedPrecondition, InvalidArgument
from tests.core.lives import WorkedLife, complete_workflow, continue_as_new, fail_workflow, retries, seconds
from tests.core.makers import World, start_request
from tests.core.test_fold_property import RunMachine
from tests.core.test_workflow_task import complete

RETRY = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY
ENDINGS: dict[str, Command] = {
    "complete": complete_workflow(),
    "fail": fail_workflow(),
    "fail for good": fail_workflow(non_retryable=True),
    "continue": continue_as_new(cron_schedule="@every 20s", retry_policy=retries(3)),
}
_FOLLOWED = frozenset(
    WorkflowExecutionStatus.Value(f"WORKFLOW_EXECUTION_STATUS_{name}")
    for name in ("COMPLETED", "FAILED", "TIMED_OUT", "CONTINUED_AS_NEW")
)


class ChainMachine(RunMachine):
    """A run on a schedule, with retries and a time-out, and those that follow it."""

    def __init__(self) -> None:
        super().__init__()
        self.life = WorkedLife(
            World(),
            start_request(
                cron_schedule="@every 20s",
                retry_policy=retry.with_defaults(retries(3)),
                workflow_run_timeout=seconds(30),
            ),
        )

    @precondition(lambda self: self.open and self.active)
    @rule(ending=st.sampled_from(sorted(ENDINGS)))
    def end(self, ending: str) -> None:
        """The worker ends the run, at its first task if it has done nothing yet."""
        world, run = self.life.world, self.life.run
        world.time = max(world.time, run.record.first_task_backoff_until)
        change = self.life.change()
        due.run_due(change)
        self.life.commit(change)
        offer = workflow_task_offer(run)
        if run.open and offer is not None and not run.paused:
            change = self.life.change()
            workflow_task.start_workflow_task(change, offer, "poll", "worker")
            self.life.commit(change)
        if not self.started:
            return
        try:
            complete(self.life, workflow_task.task_token(run), ENDINGS[ending])
        except (InvalidArgument, FailedPrecondition):
            assert self.started

    @precondition(lambda self: self.life.outcomes[-1].successor is not None)
    @rule()
    def go_on(self) -> None:
        before = self.life
        assert isinstance(before, WorkedLife)
        after = before.next_run()
        started, closing = after.run.start, before.events[-1]
        attributes = getattr(closing, closing.WhichOneof("attributes") or "")
        assert attributes.new_execution_run_id == after.run.key.run_id == before.run.new_run_id
        assert started.continued_execution_run_id == before.run.key.run_id
        assert started.first_execution_run_id == before.run.start.first_execution_run_id
        assert started.attempt == (before.run.start.attempt + 1 if started.initiator == RETRY else 1)
        assert started.attempt <= 3
        # No run begins its work before the one before it was a second old.
        assert after.run.execution_time - before.run.execution_time >= times.SECOND
        assert after.run.open
        self.life = after

    @invariant()
    def a_run_is_followed_unless_someone_ended_it(self) -> None:
        run = self.life.run
        followed = self.life.outcomes[-1].successor is not None
        assert not (followed and run.open)
        assert bool(run.new_run_id) == (not run.open and run.status in _FOLLOWED)


ChainMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestChain = ChainMachine.TestCase
