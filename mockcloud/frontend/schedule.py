"""Schedules. The rules are `core.schedule`; what acts is `engine.schedules`."""

from __future__ import annotations

from typing import Final

from temporalio.api.common.v1 import SearchAttributes
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

from mockcloud.core import search_attributes, times
from mockcloud.core.errors import NotFound, QueryFailed
from mockcloud.core.schedule import checks, machine, views
from mockcloud.core.schedule.errors import SpecError
from mockcloud.core.visibility_filter import Filter
from mockcloud.frontend import visibility
from mockcloud.frontend.scope import Family, Scope

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
    described = views.describe(state, scope.namespace.id, running)
    _show(scope, described.search_attributes)
    if described.schedule.action.HasField("start_workflow"):
        _show(scope, described.schedule.action.start_workflow.search_attributes)
    return described


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
    namespace, longest = scope.namespace, scope.limits.list_page
    size = request.maximum_page_size if 0 < request.maximum_page_size <= longest else longest
    wanted = await _wanted(scope, request.query)
    cursor = visibility.cursor_of(request.next_page_token, namespace.id)
    found, following = await scope.region.schedules.page(namespace, wanted, size, cursor)
    entries = [views.listed(state, namespace.id) for state in found]
    for entry in entries:
        _show(scope, entry.search_attributes)
    return ListSchedulesResponse(
        schedules=entries,
        next_page_token=visibility.token_of(following, namespace.id),
    )


@family.serves(CountSchedulesRequest)
async def count_schedules(scope: Scope, request: CountSchedulesRequest) -> CountSchedulesResponse:
    """How many schedules there are."""
    wanted = await _wanted(scope, request.query)
    return CountSchedulesResponse(count=await scope.region.schedules.count(scope.namespace, wanted))


def _show(scope: Scope, attributes: SearchAttributes) -> None:
    """Let callers see the present names of search attributes; what has none stays as it is."""
    if attributes.indexed_fields:
        search_attributes.to_shown(scope.namespace.record, attributes)


async def _wanted(scope: Scope, query: str) -> Filter:
    """Raises InvalidArgument for what is no filter of schedules."""
    from mockcloud.core.schedule import list_query  # with the first list: a cloud starts without it

    record = scope.namespace.record
    if query:
        await visibility.parser_ready()
    return (await visibility.parsed(list_query.runs_of(query, record), record)).filter
