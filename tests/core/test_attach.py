from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Link
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflow.v1 import OnConflictOptions

from mockcloud.core import describe
from mockcloud.core.attach import attach
from mockcloud.core.run import BUFFERED_EVENT_ID
from tests.core.lives import WorkedLife
from tests.core.makers import same_state, start_request

UPDATED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
LINK = Link(batch_job=Link.BatchJob(job_id="j"))


def attach_start(life: WorkedLife, request_id: str = "start-2", **options: bool) -> None:
    change = life.change()
    request = start_request(
        request_id=request_id, links=[LINK], on_conflict_options=OnConflictOptions(**options)
    )
    assert attach(change, request) is None
    life.commit(change)


def infos(life: WorkedLife) -> Any:
    context = life.world.context()
    return describe.describe(life.run, context.now, context.namespace).workflow_extended_info.request_id_infos


@pytest.mark.parametrize(
    ("options", "request_id", "links"),
    [
        ({"attach_request_id": True, "attach_links": True}, "start-2", [LINK]),
        ({"attach_request_id": True}, "start-2", []),
        ({"attach_links": True}, "", [LINK]),
        ({}, "", []),
    ],
)
def test_what_is_attached(options: dict[str, Any], request_id: str, links: list[Link]) -> None:
    life = WorkedLife()
    attach_start(life, **options)

    event = life.events[-1]
    attributes = event.workflow_execution_options_updated_event_attributes
    assert (event.event_type, event.event_id, event.worker_may_ignore) == (UPDATED, 3, True)
    assert attributes.attached_request_id == request_id
    assert list(event.links) == links
    assert dict(life.run.record.attached_request_ids) == ({request_id: 3} if request_id else {})
    assert len(infos(life)) == (2 if request_id else 1)
    # It tells no worker anything: the pending task is the one that was there.
    assert life.run.record.workflow_task.scheduled_event_id == 2
    assert same_state(life.run, life.rebuilt()) == []


def test_while_a_worker_has_the_task_it_waits_in_the_buffer() -> None:
    life = WorkedLife()
    token = life.take_task()
    attach_start(life, attach_request_id=True)
    assert life.run.record.attached_request_ids["start-2"] == BUFFERED_EVENT_ID
    assert infos(life)["start-2"].buffered
    assert infos(life)["start-2"].event_id == 0

    life.complete(token)
    assert life.types(4) == [
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_OPTIONS_UPDATED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    assert (infos(life)["start-2"].event_id, infos(life)["start-2"].buffered) == (5, False)
    assert infos(life)["start-1"].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    assert same_state(life.run, life.rebuilt()) == []
