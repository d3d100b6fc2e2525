"""Every method has its place in the tables of handover and redirection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mockcloud.frontend.methods import METHODS, OPERATOR_SERVICE, WORKFLOW_SERVICE, Method, Routing


def workflow_method(name: str) -> Method:
    return METHODS[f"/{WORKFLOW_SERVICE.full_name}/{name}"]


def test_the_table_has_every_method_of_both_services() -> None:
    expected = {
        f"/{service.full_name}/{method.name}"
        for service in (WORKFLOW_SERVICE, OPERATOR_SERVICE)
        for method in service.methods
    }
    assert set(METHODS) == expected


def test_the_sets_of_names_name_existing_methods() -> None:
    from mockcloud.frontend import methods

    names = {method.name for method in WORKFLOW_SERVICE.methods}
    for listed in (methods._LOCAL, methods._SELECTED, methods._POLLS, methods._ANSWERED_IN_HANDOVER):
        assert listed <= names


@pytest.mark.parametrize(
    ("name", "routing"),
    [
        ("DescribeNamespace", Routing.LOCAL),
        ("GetSystemInfo", Routing.LOCAL),
        ("StartWorkflowExecution", Routing.SELECTED),
        ("QueryWorkflow", Routing.SELECTED),
        ("ExecuteMultiOperation", Routing.SELECTED),
        ("PollWorkflowTaskQueue", Routing.DEFAULT),
        ("RespondActivityTaskCompleted", Routing.DEFAULT),
        ("DescribeWorkflowExecution", Routing.DEFAULT),
        ("CreateSchedule", Routing.DEFAULT),
    ],
)
def test_routing(name: str, routing: Routing) -> None:
    assert workflow_method(name).routing is routing


GOLDEN = Path(__file__).parents[1] / "golden" / "state-based" / "11a_handover_calls_nowait.json"


def test_what_handover_holds_is_what_was_recorded() -> None:
    recording = json.loads(GOLDEN.read_text())
    steps = recording["steps"]
    entered = next(i for i, step in enumerate(steps) if "HANDOVER" in step.get("note", ""))
    left = next(i for i, step in enumerate(steps) if step.get("note") == "no deadline")
    seen = 0
    for step in steps[entered:left]:
        if "call" not in step or step["cluster"] != "A":
            continue
        refused = step["res"].get("error", {}).get("message") == "Namespace replication in Handover state."
        assert workflow_method(step["call"]).answered_in_handover is not refused, step["call"]
        seen += 1
    assert seen > 40
