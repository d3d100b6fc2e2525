from __future__ import annotations

import pytest
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.workflow.v1 import WorkflowExecutionOptions

from mockcloud.core import field_mask


def test_paths_are_compared_in_camel_case() -> None:
    given = ["task_queue.name", "taskQueue.name", "start_to_close_timeout", "Priority.fairness_key"]
    assert field_mask.paths(given) == {"taskQueue.name", "startToCloseTimeout", "priority.fairnessKey"}


@pytest.mark.parametrize("path", ["priority", "priority.priority_key", "versioning_override.pinned.version"])
def test_paths_of_a_message(path: str) -> None:
    assert field_mask.invalid_path([path], WorkflowExecutionOptions.DESCRIPTOR) is None


@pytest.mark.parametrize("path", ["", "nonsense", "priority.", "priority.priority_key.more", "taskQueue"])
def test_paths_of_no_field(path: str) -> None:
    problem = field_mask.invalid_path(["priority", path], WorkflowExecutionOptions.DESCRIPTOR)
    assert problem == (
        f'proto: invalid path "{path}" for message "temporal.api.workflow.v1.WorkflowExecutionOptions"'
    )


def test_nothing_is_named_within_a_repeated_field() -> None:
    paths = ["retry_policy.non_retryable_error_types"]
    assert field_mask.invalid_path(paths, ActivityOptions.DESCRIPTOR) is None
    assert field_mask.invalid_path([paths[0] + ".x"], ActivityOptions.DESCRIPTOR)
