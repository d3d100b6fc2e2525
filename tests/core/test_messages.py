from __future__ import annotations

from temporalio.api.enums.v1 import WorkflowTaskFailedCause

from mockcloud.core.messages import enum_name


def test_an_enum_value_that_the_protocol_does_not_know_is_its_number() -> None:
    known = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
    assert enum_name(WorkflowTaskFailedCause, known) == "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"
    assert enum_name(WorkflowTaskFailedCause, 99) == "99"
