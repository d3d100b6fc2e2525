"""An override of how a run's worker versions are chosen, as starts and changes of options may carry it.

Worker versioning is not served. The one override that needs no versions, AUTO_UPGRADE, is kept and shown;
one that pins the run to a version gets the answer of a task queue that has no versioned worker.

Real: common/worker_versioning, ValidateVersioningOverride, ConvertOverrideToV32.
"""

from __future__ import annotations

from temporalio.api.deployment.v1 import Deployment, WorkerDeploymentVersion
from temporalio.api.enums.v1 import VersioningBehavior
from temporalio.api.workflow.v1 import VersioningOverride

from mockcloud.core.errors import FailedPrecondition, InvalidArgument

_AUTO_UPGRADE = VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE
_PINNED = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED


def check(
    override: VersioningOverride, task_queue: str, pin_to_present: FailedPrecondition | None = None
) -> None:
    """Raises for every override but AUTO_UPGRADE.

    `pin_to_present` is what to raise for one that pins a run to the version that it has; None: there is no run,
    so a version must be given.
    """
    if override.HasField("pinned"):
        pinned = override.pinned
        if pinned.HasField("version") and not pinned.behavior:
            raise InvalidArgument("must specify pinned override behavior if override is pinned.")
        if pinned.HasField("version"):
            raise _no_such_version(task_queue, pinned.version)
        if not pinned.behavior or pin_to_present is None:
            raise InvalidArgument("must provide version if override is pinned.")
        raise pin_to_present
    if override.auto_upgrade:
        return
    if override.behavior == _PINNED:
        _refuse_pinned(override, task_queue)
    if override.behavior == _AUTO_UPGRADE:
        if override.HasField("deployment"):
            raise InvalidArgument("only provide deployment if behavior is 'PINNED'")
        if override.pinned_version:
            raise InvalidArgument("only provide pinned version if behavior is 'PINNED'")
    elif not override.behavior:
        raise InvalidArgument("override behavior is required")
    else:
        raise InvalidArgument(f"override behavior {override.behavior} not recognized")


def _refuse_pinned(override: VersioningOverride, task_queue: str) -> None:
    """Always raises. By the fields that were there before `pinned`."""
    if override.HasField("deployment"):
        _check_deployment(override.deployment)
        raise _no_such_version(
            task_queue,
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
    raise _no_such_version(task_queue, WorkerDeploymentVersion(deployment_name=name, build_id=build_id))


def _check_deployment(deployment: Deployment) -> None:
    if not deployment.series_name:
        raise InvalidArgument("deployment name cannot be empty")
    if "." in deployment.series_name or ":" in deployment.series_name:
        raise InvalidArgument("deployment name cannot contain '.' or ':'")
    if not deployment.build_id:
        raise InvalidArgument("deployment build ID cannot be empty")


def _no_such_version(task_queue: str, version: WorkerDeploymentVersion) -> FailedPrecondition:
    return FailedPrecondition(
        f"Pinned version '{version.deployment_name}:{version.build_id}' is not present in "
        f"task queue '{task_queue}' of type 'Workflow'"
    )
