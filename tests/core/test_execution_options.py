from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import Priority
from temporalio.api.deployment.v1 import Deployment, WorkerDeploymentVersion
from temporalio.api.enums.v1 import VersioningBehavior
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionOptionsRequest

from mockcloud.core import execution_options
from mockcloud.core.derive import workflow_task_offer
from mockcloud.core.describe import describe
from mockcloud.core.errors import FailedPrecondition, InvalidArgument, NotFound, ServiceError, Unimplemented
from tests.core.lives import WorkedLife, complete_workflow, schedule
from tests.core.makers import same_state

PINNED = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED
AUTO_UPGRADE = VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE
VERSION = WorkerDeploymentVersion(deployment_name="d", build_id="b")
_PINNED_BEHAVIOR = VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED


def update(life: WorkedLife, *paths: str, **options: Any) -> WorkflowExecutionOptions:
    request = UpdateWorkflowExecutionOptionsRequest(
        update_mask=FieldMask(paths=paths),
        workflow_execution_options=WorkflowExecutionOptions(**options),
        identity="op",
    )
    change = life.change()
    merged = execution_options.update_options(change, request)
    if change.changed:
        life.commit(change)
    assert same_state(life.run, life.rebuilt()) == []
    return merged


def test_a_changed_priority_holds_for_the_run_and_what_follows() -> None:
    life = WorkedLife()
    update(life, "priority", priority=Priority(priority_key=4))
    attributes = life.events[-1].workflow_execution_options_updated_event_attributes
    assert life.events[-1].worker_may_ignore
    assert attributes.priority.priority_key == 4
    assert attributes.unset_versioning_override
    assert attributes.identity == "op"
    offer = workflow_task_offer(life.run)
    assert offer is not None
    assert offer.priority.level == 4
    life.decide(schedule(start_to_close=60))
    assert life.take_activity().response.priority.priority_key == 4
    info = describe(life.run, life.world.time, life.world.context().namespace).workflow_execution_info
    assert info.priority.priority_key == 4


def test_parts_are_merged_and_what_is_the_same_writes_nothing() -> None:
    life = WorkedLife()
    update(life, "priority", priority=Priority(priority_key=4))
    given = Priority(priority_key=2, fairness_key="k", fairness_weight=2.5)
    merged = update(life, "priority.fairness_key", "priority.fairness_weight", priority=given)
    assert merged.priority == Priority(priority_key=4, fairness_key="k", fairness_weight=2.5)
    written = len(life.events)
    assert update(life, "priority", priority=merged.priority) == merged
    assert update(life) == merged
    assert len(life.events) == written


def test_the_override_that_needs_no_versions() -> None:
    life = WorkedLife()
    merged = update(life, "versioning_override", versioning_override=VersioningOverride(auto_upgrade=True))
    assert merged.versioning_override.auto_upgrade
    info = describe(life.run, life.world.time, life.world.context().namespace).workflow_execution_info
    shown = info.versioning_info.versioning_override
    assert (shown.auto_upgrade, shown.behavior) == (True, AUTO_UPGRADE)
    update(life, "versioning_override")
    assert life.run.versioning_override is None
    # As clients wrote it before.
    update(life, "versioning_override", versioning_override=VersioningOverride(behavior=AUTO_UPGRADE))
    assert life.run.versioning_override is not None


def test_while_a_worker_has_the_task_the_event_waits_but_the_change_holds() -> None:
    life = WorkedLife()
    token = life.take_task()
    update(life, "priority", priority=Priority(priority_key=1))
    assert life.run.priority == Priority(priority_key=1)
    life.complete(token)
    assert life.types(4) == [
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_OPTIONS_UPDATED",
        "WORKFLOW_TASK_SCHEDULED",
    ]


NOT_PRESENT = "Pinned version '{}' is not present in task queue 'tq' of type 'Workflow'"


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        (VersioningOverride(), InvalidArgument, "override behavior is required"),
        (
            VersioningOverride(
                pinned=VersioningOverride.PinnedOverride(behavior=_PINNED_BEHAVIOR, version=VERSION)
            ),
            FailedPrecondition,
            NOT_PRESENT.format("d:b"),
        ),
        (
            VersioningOverride(pinned=VersioningOverride.PinnedOverride(version=VERSION)),
            InvalidArgument,
            "must specify pinned override behavior if override is pinned.",
        ),
        (
            VersioningOverride(pinned=VersioningOverride.PinnedOverride(behavior=_PINNED_BEHAVIOR)),
            FailedPrecondition,
            (
                "must specify a specific pinned override version because workflow with id order-1 has "
                "behavior Unspecified and is not yet pinned to any version"
            ),
        ),
        (
            VersioningOverride(pinned=VersioningOverride.PinnedOverride()),
            InvalidArgument,
            "must provide version if override is pinned.",
        ),
        (
            VersioningOverride(behavior=PINNED),
            InvalidArgument,
            "must provide deployment (deprecated) or pinned version if behavior is 'PINNED'",
        ),
        (
            VersioningOverride(behavior=PINNED, pinned_version="x"),
            InvalidArgument,
            'invalid version string "x", expected format is "<deployment_name>.<build_id>"',
        ),
        (
            VersioningOverride(behavior=PINNED, pinned_version="x.y"),
            FailedPrecondition,
            NOT_PRESENT.format("x:y"),
        ),
        (
            VersioningOverride(behavior=PINNED, deployment=Deployment()),
            InvalidArgument,
            "deployment name cannot be empty",
        ),
        (
            VersioningOverride(behavior=PINNED, deployment=Deployment(series_name="a.b", build_id="c")),
            InvalidArgument,
            "deployment name cannot contain '.' or ':'",
        ),
        (
            VersioningOverride(behavior=PINNED, deployment=Deployment(series_name="a")),
            InvalidArgument,
            "deployment build ID cannot be empty",
        ),
        (
            VersioningOverride(behavior=PINNED, deployment=Deployment(series_name="a", build_id="c")),
            FailedPrecondition,
            NOT_PRESENT.format("a:c"),
        ),
        (
            VersioningOverride(behavior=AUTO_UPGRADE, deployment=Deployment(series_name="x")),
            InvalidArgument,
            "only provide deployment if behavior is 'PINNED'",
        ),
        (
            VersioningOverride(behavior=AUTO_UPGRADE, pinned_version="x.y"),
            InvalidArgument,
            "only provide pinned version if behavior is 'PINNED'",
        ),
        (
            VersioningOverride(behavior=77),  # type: ignore[arg-type]
            InvalidArgument,
            "override behavior 77 not recognized",
        ),
    ],
)
def test_overrides_that_are_refused(
    override: VersioningOverride, error: type[ServiceError], message: str
) -> None:
    life = WorkedLife()
    with pytest.raises(error) as caught:
        update(life, "priority", versioning_override=override)  # checked whatever the mask says
    assert caught.value.message == message
    assert len(life.events) == 2


def test_further_refusals() -> None:
    life = WorkedLife()
    auto = VersioningOverride(auto_upgrade=True)
    with pytest.raises(InvalidArgument, match="versioning_override fields must be updated together"):
        update(life, "versioning_override.behavior", versioning_override=auto)
    with pytest.raises(Unimplemented, match="time_skipping_config"):
        update(life, "time_skipping_config")
    life.decide(complete_workflow())
    with pytest.raises(NotFound, match="workflow execution already completed"):
        update(life, "priority", priority=Priority(priority_key=1))
