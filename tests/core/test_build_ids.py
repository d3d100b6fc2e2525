from __future__ import annotations

import json

from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.history.v1 import HistoryEvent, WorkflowTaskCompletedEventAttributes
from temporalio.api.workflow.v1 import ResetPointInfo

from mockcloud.core import build_ids
from mockcloud.core.search_attribute_values import KEYWORD_LIST, encode


def completed(build_id: str | None) -> HistoryEvent:
    stamp = None if build_id is None else WorkerVersionStamp(build_id=build_id)
    attributes = WorkflowTaskCompletedEventAttributes(worker_version=stamp)
    return HistoryEvent(workflow_task_completed_event_attributes=attributes)


def test_each_build_is_noted_once_after_the_sentinel() -> None:
    found = build_ids.noted({}, completed("b1"))
    assert json.loads(found["BuildIds"].data) == ["unversioned", "unversioned:b1"]
    assert found["BuildIds"].metadata["type"] == b"KeywordList"
    assert build_ids.noted(found, completed("b1")) is found
    found = build_ids.noted(found, completed("b2"))
    assert json.loads(found["BuildIds"].data) == ["unversioned", "unversioned:b1", "unversioned:b2"]


def test_a_worker_without_a_build_leaves_the_sentinel_alone() -> None:
    found = build_ids.noted({"Other": encode(["x"], KEYWORD_LIST)}, completed(None))
    assert json.loads(found["BuildIds"].data) == ["unversioned"]
    assert "Other" in found
    assert build_ids.noted(found, completed("")) is found


def test_a_run_with_a_versioning_override_is_not_unversioned() -> None:
    found = build_ids.noted({}, completed("b1"))
    found = build_ids.noted(found, completed("b2"), overridden=True)
    assert json.loads(found["BuildIds"].data) == ["unversioned:b1", "unversioned:b2"]
    found = build_ids.noted(found, HistoryEvent())
    assert json.loads(found["BuildIds"].data) == ["unversioned", "unversioned:b1", "unversioned:b2"]
    found = build_ids.noted(found, HistoryEvent(), overridden=True)
    assert json.loads(found["BuildIds"].data) == ["unversioned:b1", "unversioned:b2"]


def test_the_oldest_builds_give_way_when_the_value_grows_too_long() -> None:
    found = build_ids.noted({}, completed("first"))
    for number in range(100):
        found = build_ids.noted(found, completed(f"{number:040d}"))
    values = json.loads(found["BuildIds"].data)
    assert len(found["BuildIds"].data) <= 2048
    assert values[0] == "unversioned"
    assert values[-1] == f"unversioned:{99:040d}"
    assert "unversioned:first" not in values


def test_binaries_that_reset_points_know() -> None:
    event = HistoryEvent(
        workflow_task_completed_event_attributes=WorkflowTaskCompletedEventAttributes(binary_checksum="b")
    )
    points = [ResetPointInfo(binary_checksum="a"), ResetPointInfo(), ResetPointInfo(binary_checksum="b")]
    found = build_ids.checksums_noted({}, event, points)
    assert json.loads(found["BinaryChecksums"].data) == ["a", "b"]
    assert build_ids.checksums_noted(found, completed("x"), points) is found
