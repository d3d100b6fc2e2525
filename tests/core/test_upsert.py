"""Commands that change what lists show of an open run: search attributes and memo."""

from __future__ import annotations

import json

import pytest
from temporalio.api.command.v1 import (
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    UpsertWorkflowSearchAttributesCommandAttributes,
)
from temporalio.api.common.v1 import Memo, Payload, SearchAttributes
from temporalio.api.enums.v1 import CommandType, WorkflowTaskFailedCause
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskFailedRequest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import derive, search_attributes, times, workflow_task
from mockcloud.core.describe import describe
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.core.search_attribute_values import INT, KEYWORD
from tests.core.lives import WorkedLife, start_timer
from tests.core.makers import World, same_state, start_request

BAD_ATTRIBUTES = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
BAD_PROPERTIES = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES
NULL = Payload(metadata={"encoding": b"binary/null"})


def value(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=text.encode())


def upsert(**values: Payload) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        upsert_workflow_search_attributes_command_attributes=UpsertWorkflowSearchAttributesCommandAttributes(
            search_attributes=SearchAttributes(indexed_fields=values)
        ),
    )


def modify(**values: Payload) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES,
        modify_workflow_properties_command_attributes=ModifyWorkflowPropertiesCommandAttributes(
            upserted_memo=Memo(fields=values)
        ),
    )


def life_with(limits: Limits | None = None, **request: object) -> WorkedLife:
    world = World(limits=limits)
    world.search_attributes = {"Customer": KEYWORD, "Count": INT}
    return WorkedLife(world, start_request(**request))


def failure(life: WorkedLife) -> tuple[int, str]:
    attributes = life.last("WORKFLOW_TASK_FAILED").workflow_task_failed_event_attributes
    return attributes.cause, attributes.failure.message


def test_an_upsert_changes_the_run_its_row_and_its_description() -> None:
    # Given a run that was started with an attribute, and its row.
    life = life_with(
        search_attributes=SearchAttributes(indexed_fields={"Customer": value('"c1"'), "Count": value("1")})
    )
    before = derive.visibility_row(life.run)

    # When its worker changes one, removes one and names a summary.
    command = upsert(Customer=value('"c2"'), Count=NULL)
    command.user_metadata.CopyFrom(UserMetadata(summary=value('"s"')))
    life.decide(command, start_timer())

    # Then the event has them as given, with their types, and the run has what is left.
    event = life.last("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")
    attributes = event.upsert_workflow_search_attributes_event_attributes
    assert attributes.workflow_task_completed_event_id == 4
    assert set(attributes.search_attributes.indexed_fields) == {"Customer", "Count"}
    assert event.user_metadata.summary == value('"s"')
    found = describe(life.run, life.world.time, life.world.context().namespace)
    shown = found.workflow_execution_info.search_attributes.indexed_fields
    assert shown["Customer"].data == b'"c2"'
    assert shown["Customer"].metadata["type"] == b"Keyword"
    assert "Count" not in shown
    assert json.loads(shown["BuildIds"].data) == ["unversioned"]
    row = derive.visibility_row(life.run)
    assert row != before
    assert SearchAttributes.FromString(row.search_attributes).indexed_fields.keys() == shown.keys()
    assert derive.visibility_row(life.run) is row
    assert same_state(life.run, life.rebuilt()) == []


def test_a_memo_is_merged() -> None:
    life = life_with(memo=Memo(fields={"a": value("1"), "b": value("2")}))

    life.decide(modify(b=value("3"), c=value("4"), a=NULL), start_timer())

    event = life.last("WORKFLOW_PROPERTIES_MODIFIED").workflow_properties_modified_event_attributes
    assert event.workflow_task_completed_event_id == 4
    assert set(event.upserted_memo.fields) == {"a", "b", "c"}
    found = describe(life.run, life.world.time, NamespaceRecord()).workflow_execution_info.memo.fields
    assert {key: payload.data for key, payload in found.items()} == {"b": b"3", "c": b"4"}
    row = derive.visibility_row(life.run)
    assert Memo.FromString(row.memo).fields == found
    assert same_state(life.run, life.rebuilt()) == []


def test_a_failed_task_takes_its_upserts_back() -> None:
    # Given a run with a memo, when a task upserts and then gives a bad command.
    life = life_with(memo=Memo(fields={"a": value("1")}))
    row = derive.visibility_row(life.run)
    life.decide(upsert(Count=value("1")), modify(a=value("2")), upsert(Count=value('"x"')))

    # Then nothing of it remains.
    cause, message = failure(life)
    assert cause == BAD_ATTRIBUTES
    assert message == "BadSearchAttributes: invalid value for search attribute Count of type Int: x"
    assert derive.visibility_row(life.run) == row
    assert same_state(life.run, life.rebuilt()) == []


@pytest.mark.parametrize(
    ("command", "cause", "message"),
    [
        (
            Command(command_type=CommandType.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES),
            BAD_ATTRIBUTES,
            (
                "BadSearchAttributes: UpsertWorkflowSearchAttributesCommandAttributes is not set on "
                "UpsertWorkflowSearchAttributesCommand."
            ),
        ),
        (
            upsert(),
            BAD_ATTRIBUTES,
            "BadSearchAttributes: IndexedFields is not set on UpsertWorkflowSearchAttributesCommand.",
        ),
        (
            upsert(Nobody=value("1")),
            BAD_ATTRIBUTES,
            "BadSearchAttributes: Namespace orders has no mapping defined for search attribute Nobody",
        ),
        (
            upsert(RunId=value("1")),
            BAD_ATTRIBUTES,
            "BadSearchAttributes: RunId attribute can't be set in SearchAttributes",
        ),
        (
            Command(command_type=CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES),
            BAD_PROPERTIES,
            (
                "BadModifyWorkflowPropertiesAttributes: ModifyWorkflowPropertiesCommandAttributes is not set on "
                "ModifyWorkflowPropertiesCommand."
            ),
        ),
        (
            modify(),
            BAD_PROPERTIES,
            (
                "BadModifyWorkflowPropertiesAttributes: UpsertedMemo.Fields is not set on "
                "ModifyWorkflowPropertiesCommand."
            ),
        ),
    ],
)
def test_bad_commands_fail_the_task(command: Command, cause: int, message: str) -> None:
    life = life_with()
    completion = life.decide(command)
    assert failure(life) == (cause, message)
    assert isinstance(completion.error, InvalidArgument)


@pytest.mark.parametrize(
    ("command", "limits", "reason"),
    [
        (
            upsert(Customer=value(f'"{"x" * 30}"')),
            Limits(search_attribute_value_bytes=30),
            "BadSearchAttributes: search attribute Customer value size 32 exceeds size limit 30",
        ),
        (
            upsert(Customer=value(f'"{"x" * 30}"')),
            Limits(blob_bytes=35, blob_bytes_warning=35),
            "BadSearchAttributes: UpsertWorkflowSearchAttributesCommandAttributes exceeds size limit.",
        ),
        (
            modify(a=value("x" * 40)),
            Limits(blob_bytes=35, blob_bytes_warning=35),
            (
                "BadModifyWorkflowPropertiesAttributes: ModifyWorkflowPropertiesCommandAttributes exceeds size "
                "limit."
            ),
        ),
        (
            modify(a=value("x" * 40)),
            Limits(memo_bytes=35, memo_bytes_warning=35),
            (
                "BadModifyWorkflowPropertiesAttributes: ModifyWorkflowPropertiesCommandAttributes. Memo exceeds "
                "size limit."
            ),
        ),
    ],
)
def test_what_is_too_large_ends_the_run(command: Command, limits: Limits, reason: str) -> None:
    life = life_with(limits)
    life.decide(command)
    terminated = life.last("WORKFLOW_EXECUTION_TERMINATED").workflow_execution_terminated_event_attributes
    assert terminated.reason == reason


def continue_as_new(**fields: object) -> Command:
    command = ContinueAsNewWorkflowExecutionCommandAttributes(**fields)  # type: ignore[arg-type]
    return Command(
        command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
        continue_as_new_workflow_execution_command_attributes=command,
    )


def test_the_next_run_has_what_the_command_says() -> None:
    life = life_with(memo=Memo(fields={"old": value("1")}))
    life.decide(
        continue_as_new(
            memo=Memo(fields={"new": value("2"), "none": NULL}),
            search_attributes=SearchAttributes(indexed_fields={"Count": value("5"), "Customer": NULL}),
        )
    )
    event = life.last("WORKFLOW_EXECUTION_CONTINUED_AS_NEW")
    attributes = event.workflow_execution_continued_as_new_event_attributes
    assert set(attributes.memo.fields) == {"new"}
    assert set(attributes.search_attributes.indexed_fields) == {"Count"}
    successor = life.outcomes[-1].successor
    assert successor is not None
    assert successor.run.memo == {"new": value("2")}
    assert search_attributes.of_run(successor.run)["Count"].metadata["type"] == b"Int"


def test_a_continued_run_is_checked_too() -> None:
    life = life_with()
    life.decide(continue_as_new(search_attributes=SearchAttributes(indexed_fields={"Count": value('"x"')})))
    cause, message = failure(life)
    assert cause == BAD_ATTRIBUTES
    assert message.startswith(
        "BadSearchAttributes: invalid SearchAttributes on ContinueAsNewWorkflowExecutionCommand: invalid value "
        "for search attribute Count of type Int: x. WorkflowType=wf TaskQueue="
    )


def fail_task(life: WorkedLife) -> None:
    token = life.take_task()
    change = life.change()
    cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
    workflow_task.fail_workflow_task(change, token, RespondWorkflowTaskFailedRequest(cause=cause))
    life.commit(change)


def problems(life: WorkedLife) -> list[str] | None:
    payload = search_attributes.of_run(life.run).get("TemporalReportedProblems")
    return None if payload is None else list(json.loads(payload.data))


def test_a_problem_is_reported_from_the_fifth_failure_until_a_task_completes() -> None:
    # Given four failed attempts: nothing is shown.
    life = life_with()
    for _ in range(4):
        fail_task(life)
    assert problems(life) is None
    row = derive.visibility_row(life.run)

    # When one more fails, then the first one's cause is.
    fail_task(life)
    assert problems(life) == [
        "category=WorkflowTaskFailed",
        "cause=WorkflowTaskFailedCauseWorkflowWorkerUnhandledFailure",
    ]
    assert derive.visibility_row(life.run) != row
    assert same_state(life.run, life.rebuilt()) == []

    # And when an attempt completes, it is gone, and the count begins anew.
    life.decide(start_timer())
    assert problems(life) is None
    life.signal()
    fail_task(life)
    assert problems(life) is None


def test_time_outs_are_reported_too_and_the_limit_turns_it_off() -> None:
    never = life_with(Limits(reported_problems_after=0))
    life = life_with(Limits(reported_problems_after=2))
    for each in (never, life):
        for _ in range(2):
            each.take_task()
            each.pass_time(30 * times.SECOND)
    assert problems(never) is None
    assert problems(life) == ["category=WorkflowTaskTimedOut", "cause=WorkflowTaskTimedOutCauseStartToClose"]
