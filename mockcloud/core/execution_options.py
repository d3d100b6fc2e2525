"""Changing the options of an open run: its priority, and an override of how its workers' versions are chosen.

Worker versioning is not served. The one override that needs no versions, AUTO_UPGRADE, is kept and shown;
one that pins the run to a version gets the answer of a task queue that has no versioned worker.

Real: api/updateworkflowoptions/api.go, common/worker_versioning.
"""

from __future__ import annotations

from collections.abc import Collection

from temporalio.api.deployment.v1 import Deployment, WorkerDeploymentVersion
from temporalio.api.enums.v1 import EventType, VersioningBehavior
from temporalio.api.history.v1 import WorkflowExecutionOptionsUpdatedEventAttributes
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionOptionsRequest

from mockcloud.core import field_mask
from mockcloud.core.change import RunChange
from mockcloud.core.errors import (
    FailedPrecondition,
    InvalidArgument,
    Unimplemented,
    workflow_already_completed,
)
from mockcloud.core.messages import copy_set, replace
from mockcloud.core.run import Run

_AUTO_UPGRADE = VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE
_PINNED = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED
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

    Where nothing changes no event is written.

    Raises:
        NotFound: the run is closed.
        InvalidArgument, FailedPrecondition: the override cannot be right.
        Unimplemented: time skipping.
    """
    run = change.run
    if not run.open or run.record.zombie:
        raise workflow_already_completed()
    given = request.workflow_execution_options
    if given.HasField("versioning_override"):
        _check_override(run, given.versioning_override)
    paths = field_mask.paths(request.update_mask.paths)
    if any(path.startswith("timeSkippingConfig") for path in paths):
        raise Unimplemented(
            "Updating workflow execution options with time_skipping_config is not implemented."
        )
    current = options(run)
    merged = _merged(current, given, paths)
    if merged == current:
        return merged
    attributes = WorkflowExecutionOptionsUpdatedEventAttributes(
        unset_versioning_override=not merged.HasField("versioning_override"), identity=request.identity
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
    """Raises for every override but AUTO_UPGRADE. Real: ValidateVersioningOverride."""
    if override.HasField("pinned"):
        pinned = override.pinned
        if pinned.HasField("version") and not pinned.behavior:
            raise InvalidArgument("must specify pinned override behavior if override is pinned.")
        if pinned.HasField("version"):
            raise _no_such_version(run, pinned.version)
        if not pinned.behavior:
            raise InvalidArgument("must provide version if override is pinned.")
        behavior = "Unspecified" if run.versioning_override is None else "AutoUpgrade"
        raise FailedPrecondition(
            "must specify a specific pinned override version because workflow with id "
            f"{run.key.workflow_id} has behavior {behavior} and is not yet pinned to any version"
        )
    if override.auto_upgrade:
        return
    if override.behavior == _PINNED:
        _refuse_pinned(run, override)
    if override.behavior == _AUTO_UPGRADE:
        if override.HasField("deployment"):
            raise InvalidArgument("only provide deployment if behavior is 'PINNED'")
        if override.pinned_version:
            raise InvalidArgument("only provide pinned version if behavior is 'PINNED'")
    elif not override.behavior:
        raise InvalidArgument("override behavior is required")
    else:
        raise InvalidArgument(f"override behavior {override.behavior} not recognized")


def _refuse_pinned(run: Run, override: VersioningOverride) -> None:
    """Always raises. By the fields that were there before `pinned`."""
    if override.HasField("deployment"):
        _check_deployment(override.deployment)
        raise _no_such_version(
            run,
            WorkerDeploymentVersion(
                deployment_name=override.deployment.series_name, build_id=override.deployment.build_id
            ),
        )
    if not override.pinned_version:
        raise InvalidArgument(
            "must provide deployment (deprecated) or pinned version if behavior is 'PINNED'"
        )
    name, dot, build_id = override.pinned_version.partition(".")
    if not (name and dot and build_id):
        raise InvalidArgument(
            f'invalid version string "{override.pinned_version}", '
            'expected format is "<deployment_name>.<build_id>"'
        )
    raise _no_such_version(run, WorkerDeploymentVersion(deployment_name=name, build_id=build_id))


def _check_deployment(deployment: Deployment) -> None:
    if not deployment.series_name:
        raise InvalidArgument("deployment name cannot be empty")
    if "." in deployment.series_name or ":" in deployment.series_name:
        raise InvalidArgument("deployment name cannot contain '.' or ':'")
    if not deployment.build_id:
        raise InvalidArgument("deployment build ID cannot be empty")


def _no_such_version(run: Run, version: WorkerDeploymentVersion) -> FailedPrecondition:
    return FailedPrecondition(
        f"Pinned version '{version.deployment_name}:{version.build_id}' is not present in "
        f"task queue '{run.start.task_queue.name}' of type 'Workflow'"
    )
