"""What follows a run that ends: another attempt, the next run of its cron schedule, or nothing.

A chain is a sequence of runs of one workflow id of which each continues the one before; all name the same first
run. A run is continued by its worker's command (`core.continue_as_new`), by its retry policy, or by its cron
schedule. The policy comes first: only where it gives up does the schedule go on, with a first attempt again. A run
that is cancelled or terminated, or whose whole chain is out of time, ends the chain.

The new run is made in the commit that ends the old one, and waits for its backoff in itself
(`RunRecord.first_task_backoff_until`): so it is replicated and fails over like any other run.

Real: workflow_task_completed_handler.go (handleRetry, handleCron), timer_queue_active_task_executor.go
(executeWorkflowRunTimeoutTask), workflow/retry.go (SetupNewWorkflowForRetryOrCron).
"""

from __future__ import annotations

from typing import NamedTuple

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import ContinueAsNewInitiator, RetryState, TaskQueueKind, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import ResetPoints
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from mockcloud.core import cron, failures, reset_points, retry, start
from mockcloud.core.change import Context, RunChange
from mockcloud.core.messages import copy_set
from mockcloud.core.run import Run, RunKey


class NextRun(NamedTuple):
    """The run that follows one that ended without a command to continue it."""

    initiator: ContinueAsNewInitiator.ValueType
    backoff: int  # nanoseconds until its first workflow task
    failure: Failure | None = None  # of the run before
    last_completion_result: Payloads | None = None  # of the last run that completed


class Verdict(NamedTuple):
    """What becomes of a failed run: why it is not tried again, and what follows it."""

    state: RetryState.ValueType
    following: NextRun | None


def after_completion(run: Run, context: Context, result: Payloads | None) -> NextRun | None:
    """What follows a run that completed with `result`."""
    wait = _cron_wait(run, context)
    return None if wait is None else _next_cron(wait, None, result)


def after_failure(run: Run, context: Context, failure: Failure) -> Verdict:
    """What follows a run that its worker failed."""
    decision = _decide(run, context, failure)
    if isinstance(decision, retry.RetryAfter):
        # The result of the cron run before is not handed on here; where a run times out, it is.
        return Verdict(RetryState.RETRY_STATE_IN_PROGRESS, _next_attempt(decision.delay, failure, None))
    wait = _cron_wait(run, context)
    following = None if wait is None else _next_cron(wait, failure, _last_result(run))
    return Verdict(decision.state, following)


def after_run_timeout(run: Run, context: Context) -> Verdict:
    """What follows a run whose time is over. Nothing does when that of the whole chain is over too."""
    expires = run.execution_expires_at
    if expires and expires <= context.now:
        return Verdict(RetryState.RETRY_STATE_TIMEOUT, None)
    failure = failures.timeout_failure("workflow timeout", TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
    decision = _decide(run, context, failure)
    if isinstance(decision, retry.RetryAfter):
        following = _next_attempt(decision.delay, failure, _last_result(run))
        return Verdict(RetryState.RETRY_STATE_IN_PROGRESS, following)
    wait = _cron_wait(run, context)
    return Verdict(decision.state, None if wait is None else _next_cron(wait, failure, _last_result(run)))


def follow(change: RunChange, following: NextRun, new_run_id: str) -> None:
    """Start the run that follows, as `change.successor`. The event that ends the old one names it already.

    It begins as the old one did: what the old one upserted meanwhile is not handed on.
    """
    run = change.run
    started = run.start
    request = StartWorkflowExecutionRequest(
        workflow_type=started.workflow_type,
        task_queue=started.task_queue,
        cron_schedule=started.cron_schedule,
    )
    copy_set(
        started,
        request,
        "input",
        "header",
        "memo",
        "search_attributes",
        "retry_policy",
        "priority",
        "workflow_execution_timeout",
        "workflow_run_timeout",
        "workflow_task_timeout",
    )
    continue_with(
        change,
        request,
        new_run_id,
        start.Continued(
            run_id=run.key.run_id,
            first_execution_run_id=started.first_execution_run_id,
            initiator=following.initiator,
            reset_points=handed_on_points(run, change.context),
            attempt=next_attempt(run, following.initiator),
            first_workflow_task_backoff=minimum_backoff(run, following.backoff, change.context),
            execution_expiration_time=run.execution_expires_at,
            failure=following.failure,
            last_completion_result=following.last_completion_result,
            parent=started,
        ),
    )


def continue_with(
    change: RunChange, request: StartWorkflowExecutionRequest, new_run_id: str, continued: start.Continued
) -> None:
    """Make `change.successor` of a start request whose defaults are filled in."""
    key = change.run.key
    successor = RunChange.new_run(RunKey(key.namespace_id, key.workflow_id, new_run_id), change.context)
    successor.version = change.version
    request.workflow_id = key.workflow_id
    request.request_id = change.context.ids.uuid()
    request.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert change.run.started is not None, "a run that ends has its Started event"
    request.links.extend(change.run.started.links)
    start.start(successor, request, continued=continued)
    change.successor = successor


def handed_on_points(run: Run, context: Context) -> ResetPoints:
    """The points for a reset that the next run gets."""
    return reset_points.handed_on(run.reset_points, run.key.run_id, context.now, context.namespace.retention)


def next_attempt(run: Run, initiator: ContinueAsNewInitiator.ValueType) -> int:
    """The attempt that the next run is; only those of the retry policy are counted."""
    retried = initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY
    return run.start.attempt + 1 if retried else 1


def minimum_backoff(run: Run, asked: int | None, context: Context) -> int | None:
    """A chain of runs does not spin: a new one waits until its predecessor's life was a second long.

    Real: MutableStateImpl.ContinueAsNewMinBackoff.
    """
    lifetime = context.now - run.execution_time
    minimum = context.limits.continue_as_new_minimum_interval
    if lifetime + (asked or 0) < minimum:
        return minimum - lifetime
    return asked


def _decide(run: Run, context: Context, failure: Failure) -> retry.RetryDecision:
    return retry.decide(
        run.start.retry_policy if run.start.HasField("retry_policy") else None,
        failure,
        attempt=run.start.attempt,
        now=context.now,
        expires_at=run.execution_expires_at,
    )


def _cron_wait(run: Run, context: Context) -> int | None:
    return cron.wait(run.start.cron_schedule, run.execution_time, context.now)


def _next_attempt(delay: int, failure: Failure, result: Payloads | None) -> NextRun:
    return NextRun(ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY, delay, failure, result)


def _next_cron(wait: int, failure: Failure | None, result: Payloads | None) -> NextRun:
    return NextRun(ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE, wait, failure, result)


def _last_result(run: Run) -> Payloads | None:
    return run.start.last_completion_result if run.start.HasField("last_completion_result") else None
