"""Schedules. The rules are `core.schedule`; what acts is `engine.schedules`."""

from __future__ import annotations

from typing import Final

from temporalio.api.workflowservice.v1 import (
    CountSchedulesRequest,
    CountSchedulesResponse,
    CreateScheduleRequest,
    CreateScheduleResponse,
    DeleteScheduleRequest,
    DeleteScheduleResponse,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    ListScheduleMatchingTimesRequest,
    ListScheduleMatchingTimesResponse,
    ListSchedulesRequest,
    ListSchedulesResponse,
    PatchScheduleRequest,
    PatchScheduleResponse,
    UpdateScheduleRequest,
    UpdateScheduleResponse,
)

from mockcloud.core import times
from mockcloud.core.errors import NotFound, QueryFailed
from mockcloud.core.schedule import checks, machine, views
from mockcloud.core.schedule.errors import SpecError
from mockcloud.core.schedule.state import ScheduleState
from mockcloud.core.tokens import ListPageToken
from mockcloud.frontend.scope import Family, Scope
from mockcloud.store.schedules import ScheduleCursor

family: Final = Family()


@family.serves(CreateScheduleRequest)
async def create_schedule(scope: Scope, request: CreateScheduleRequest) -> CreateScheduleResponse:
    """Make a schedule."""
    checks.create(request, scope.namespace.record, scope.limits)
    await scope.region.schedules.create(scope.namespace, request)
    return CreateScheduleResponse(conflict_token=views.dump_token(machine.INITIAL_CONFLICT_TOKEN))


@family.serves(DescribeScheduleRequest)
async def describe_schedule(scope: Scope, request: DescribeScheduleRequest) -> DescribeScheduleResponse:
    """A schedule as this region knows it."""
    schedules = scope.region.schedules
    state = await schedules.read(scope.namespace, request.schedule_id)
    if not state.open:
        raise NotFound("schedule not found")
    running = await schedules.running(scope.namespace, state)
    return views.describe(state, scope.namespace.id, running)


@family.serves(UpdateScheduleRequest)
async def update_schedule(scope: Scope, request: UpdateScheduleRequest) -> UpdateScheduleResponse:
    """Replace a schedule. One that was changed meanwhile stays as it is, and the answer does not tell."""
    checks.update(request, scope.namespace.record, scope.limits)
    await scope.region.schedules.call(scope.namespace, request)
    return UpdateScheduleResponse()


@family.serves(PatchScheduleRequest)
async def patch_schedule(scope: Scope, request: PatchScheduleRequest) -> PatchScheduleResponse:
    """Trigger, backfill, pause, unpause."""
    checks.patch(request, scope.limits)
    if request.patch.HasField("trigger_immediately"):
        trigger = request.patch.trigger_immediately
        if not trigger.HasField("scheduled_time"):  # told now: it may be reapplied elsewhere, later
            trigger.scheduled_time.CopyFrom(times.timestamp(scope.region.ports.clock.now()))
    await scope.region.schedules.call(scope.namespace, request)
    return PatchScheduleResponse()


@family.serves(DeleteScheduleRequest)
async def delete_schedule(scope: Scope, request: DeleteScheduleRequest) -> DeleteScheduleResponse:
    """End a schedule; what it started goes on."""
    await scope.region.schedules.delete(scope.namespace, request.schedule_id)
    return DeleteScheduleResponse()


@family.serves(ListScheduleMatchingTimesRequest)
async def list_schedule_matching_times(
    scope: Scope, request: ListScheduleMatchingTimesRequest
) -> ListScheduleMatchingTimesResponse:
    """When a schedule acts in a span of time. In the real server this is a query, which shows in its errors."""
    state = await scope.region.schedules.read(scope.namespace, request.schedule_id)
    if not request.HasField("start_time") or not request.HasField("end_time"):
        raise QueryFailed("missing or invalid query")
    start, end = times.nanoseconds(request.start_time), times.nanoseconds(request.end_time)
    try:
        found = views.matching_times(state, scope.namespace.id, start, end)
    except SpecError as error:
        raise QueryFailed(f"invalid schedule: {error.reason}") from None
    return ListScheduleMatchingTimesResponse(start_time=found)


@family.serves(ListSchedulesRequest)
async def list_schedules(scope: Scope, request: ListSchedulesRequest) -> ListSchedulesResponse:
    """One page of schedules, newest first."""
    namespace_id, longest = scope.namespace.id, scope.limits.list_page
    size = request.maximum_page_size if 0 < request.maximum_page_size <= longest else longest
    cursor = None
    if request.next_page_token:
        token = ListPageToken.load(request.next_page_token, namespace_id)
        cursor = ScheduleCursor(token.start_time, token.run_id)
    rows = await scope.region.schedules.page(scope.namespace, size + 1, cursor)
    response = ListSchedulesResponse(
        schedules=[views.listed(ScheduleState.load(row.record), namespace_id) for row in rows[:size]]
    )
    if len(rows) > size:
        last = rows[size - 1]
        response.next_page_token = ListPageToken(namespace_id, 0, last.created, last.run_id).dump()
    return response


@family.serves(CountSchedulesRequest)
async def count_schedules(scope: Scope, request: CountSchedulesRequest) -> CountSchedulesResponse:
    """How many schedules there are."""
    return CountSchedulesResponse(count=await scope.region.schedules.count(scope.namespace))
