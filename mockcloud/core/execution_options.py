"""Changing the options of an open run: its priority, and an override of how its workers' versions are chosen.

Real: api/updateworkflowoptions/api.go.
"""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import WorkflowExecutionOptionsUpdatedEventAttributes
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionOptionsRequest

from mockcloud.core import field_mask, versioning_override
from mockcloud.core.change import RunChange
from mockcloud.core.errors import (
    FailedPrecondition,
    InvalidArgument,
    Unimplemented,
    workflow_already_completed,
)
from mockcloud.core.messages import copy_set, replace
from mockcloud.core.run import Run

_PARTS_OF_OVERRIDE = ("versioningOverride.deployment", "versioningOverride.behavior")
_PARTS_OF_PRIORITY = {
    "priority.priorityKey": "priority_key",
    "priority.fairnessKey": "fairness_key",
    "priority.fairnessWeight": "fairness_weight",
}


def update_options(
    change: RunChange, request: UpdateWorkflowExecutionOptionsRequest
) -> WorkflowExecutionOptions:
    """Change the options that the request's mask names; what they are then.

    Raises:
        NotFound: the run is closed.
        InvalidArgument, FailedPrecondition: the override cannot be right.
        Unimplemented: time skipping.
    """
    if not change.run.open or change.run.record.zombie:
        raise workflow_already_completed()
    return apply(change, request.workflow_execution_options, request.update_mask, request.identity)


def apply(
    change: RunChange, given: WorkflowExecutionOptions, mask: FieldMask, identity: str
) -> WorkflowExecutionOptions:
    """Change what `mask` names of the options of an open run; what they are then. Errors as `update_options`.

    Where nothing changes no event is written. Real: updateworkflowoptions.MergeAndApply.
    """
    run = change.run
    if given.HasField("versioning_override"):
        _check_override(run, given.versioning_override)
    paths = field_mask.paths(mask.paths)
    if any(path.startswith("timeSkippingConfig") for path in paths):
        raise Unimplemented(
            "Updating workflow execution options with time_skipping_config is not implemented."
        )
    current = options(run)
    merged = _merged(current, given, paths)
    if merged == current:
        return merged
    attributes = WorkflowExecutionOptionsUpdatedEventAttributes(
        unset_versioning_override=not merged.HasField("versioning_override"), identity=identity
    )
    copy_set(merged, attributes, "priority")
    if merged.HasField("versioning_override"):
        attributes.versioning_override.auto_upgrade = True  # the only kind, also where given by `behavior`
    change.add(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED, attributes, worker_may_ignore=True)
    return merged


def options(run: Run) -> WorkflowExecutionOptions:
    """The options as they are."""
    current = WorkflowExecutionOptions()
    if run.versioning_override is not None:
        current.versioning_override.CopyFrom(run.versioning_override)
    if run.priority is not None:
        current.priority.CopyFrom(run.priority)
    return current


def _merged(
    current: WorkflowExecutionOptions, given: WorkflowExecutionOptions, paths: Collection[str]
) -> WorkflowExecutionOptions:
    merged = WorkflowExecutionOptions()
    merged.CopyFrom(current)
    parts = [path for path in _PARTS_OF_OVERRIDE if path in paths]
    if len(parts) == 1:
        raise InvalidArgument(
            "error applying update_options: versioning_override fields must be updated together"
        )
    if parts or "versioningOverride" in paths:
        replace(given, merged, "versioning_override")
    if "priority" in paths:
        replace(given, merged, "priority")
    for path, part in _PARTS_OF_PRIORITY.items():
        if path in paths:
            setattr(merged.priority, part, getattr(given.priority, part))
            merged.priority.SetInParent()
    return merged


def _check_override(run: Run, override: VersioningOverride) -> None:
    behavior = "Unspecified" if run.versioning_override is None else "AutoUpgrade"
    versioning_override.check(
        override,
        run.start.task_queue.name,
        FailedPrecondition(
            "must specify a specific pinned override version because workflow with id "
            f"{run.key.workflow_id} has behavior {behavior} and is not yet pinned to any version"
        ),
    )
