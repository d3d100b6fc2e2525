"""Activities on their way to a worker: what a task queue may offer of them, and the beginning of an attempt.

The beginning writes no event: Started is written when the activity ends, with the attempt that ended it.
Until then it is in the record, which replicates as state.

Real: api/recordactivitytaskstarted, MutableStateImpl.AddActivityTaskStartedEvent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from temporalio.api.common.v1 import Payloads
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueResponse

from mockcloud.core import priorities, times
from mockcloud.core.change import RunChange
from mockcloud.core.derived import Offer, TaskKind
from mockcloud.core.messages import replace
from mockcloud.core.run import Activity, Run
from mockcloud.core.tokens import TaskToken


class StartedActivity(NamedTuple):
    """An attempt that a worker now has, and what the worker is told of it."""

    token: TaskToken
    response: PollActivityTaskQueueResponse


def activity_offers(run: Run) -> Iterator[Offer]:
    """The activities of an open run that wait for a worker: a retry only once its backoff is over.

    While the run is paused none is offered. In the real server their tasks die by their stamps then.
    """
    if run.paused:
        return
    for activity in run.activities.values():
        record = activity.record
        if record.started_time or record.backing_off or record.paused:
            continue
        queue = activity.options.task_queue.name
        yield Offer(
            kind=TaskKind.ACTIVITY,
            scheduled_event_id=record.scheduled_event_id,
            attempt=record.attempt,
            stamp=record.stamp,
            task_queue=queue,
            sticky=False,
            normal_queue=queue,
            ready_time=record.scheduled_time,
            priority=priorities.in_queue(priorities.of_activity(run, activity)),
        )


def start_activity(
    change: RunChange,
    offer: Offer,
    request_id: str,
    identity: str,
) -> StartedActivity | None:
    """Begin the attempt that `offer` names, for the worker `identity` whose poll is `request_id`.

    None means that the offer is stale and is to be dropped. The same poll again gets the same attempt again.
    """
    run = change.run
    activity = run.activities.get(offer.scheduled_event_id)
    if activity is None or not run.open or run.paused:
        return None
    record = activity.record
    if activity.started:
        return _started(change, activity) if request_id and record.request_id == request_id else None
    if (record.attempt, record.stamp) != (offer.attempt, offer.stamp) or record.backing_off or record.paused:
        return None
    begin_attempt(change, activity, request_id, identity)
    return _started(change, activity)


def start_eagerly(
    change: RunChange, scheduled_event_ids: Iterable[int], identity: str
) -> list[StartedActivity]:
    """Begin activities for the very worker whose workflow task has just scheduled them.

    Those that the same task cancelled again are left out. The caller must hand all that it gets to the
    worker. Real: workflowTaskCompletedHandler.handlePostCommandEagerExecuteActivity.
    """
    started = []
    for scheduled_event_id in scheduled_event_ids:
        activity = change.run.activities.get(scheduled_event_id)
        if activity is not None and not activity.started:
            begin_attempt(change, activity, change.context.ids.uuid(), identity)
            begun = _started(change, activity)
            # The real server says less here than in the answer to a poll.
            begun.response.ClearField("retry_policy")
            replace(activity.attributes, begun.response, "priority")
            started.append(begun)
    return started


def begin_attempt(
    change: RunChange,
    activity: Activity,
    request_id: str,
    identity: str,
) -> None:
    """Put into the record that a worker has the current attempt."""
    record = activity.record
    record.version = change.version
    record.start_version = change.version
    record.started_time = change.context.now
    record.request_id = request_id
    record.started_identity = identity
    record.backing_off = False
    change.touch_activity(record.scheduled_event_id)


def _started(change: RunChange, activity: Activity) -> StartedActivity:
    run = change.run
    attributes = activity.attributes
    options = activity.options
    record = activity.record
    token = TaskToken(
        namespace_id=run.key.namespace_id,
        workflow_id=run.key.workflow_id,
        run_id=run.key.run_id,
        scheduled_event_id=record.scheduled_event_id,
        attempt=record.attempt,
        version=record.version,
        kind=TaskKind.ACTIVITY,
        start_version=record.start_version,
        activity_id=activity.activity_id,
        activity_type=attributes.activity_type.name,
        stamp=record.stamp,
    )
    response = PollActivityTaskQueueResponse(
        task_token=token.dump(),
        workflow_namespace=change.context.namespace.name,
        activity_id=token.activity_id,
        header=attributes.header if attributes.HasField("header") else None,
        input=attributes.input if attributes.HasField("input") else None,
        heartbeat_details=Payloads.FromString(record.heartbeat_details) if record.heartbeat_details else None,
        scheduled_time=activity.scheduled.event_time,
        attempt=record.attempt,
        schedule_to_close_timeout=attributes.schedule_to_close_timeout,
        start_to_close_timeout=attributes.start_to_close_timeout,
        heartbeat_timeout=attributes.heartbeat_timeout,
        retry_policy=options.retry_policy if options.HasField("retry_policy") else None,
    )
    # In place: a message that is given to another one is copied.
    response.workflow_type.name = run.start.workflow_type.name
    response.activity_type.name = token.activity_type
    execution = response.workflow_execution
    execution.workflow_id, execution.run_id = token.workflow_id, token.run_id
    times.put(response.current_attempt_scheduled_time, record.scheduled_time)
    times.put(response.started_time, record.started_time)
    priority = priorities.of_activity(run, activity)
    if priority is not None:
        response.priority.CopyFrom(priority)
    return StartedActivity(token, response)
