"""What the frontend refuses of calls about task queues, in the real frontend's words.

Real: service/frontend/validators.go, workflow_handler.go (DescribeTaskQueue, UpdateTaskQueueConfig), common/tqid.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import TaskQueueKind, TaskQueueType
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, UpdateTaskQueueConfigRequest

from mockcloud.core import validation
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.frontend.validation import normal_name

PARTITION_PREFIX = "/_sys/"  # real: nonRootPartitionPrefix
_REASON_CHARACTERS = 1000  # real: maxReasonLength
_REACHABILITY_BUILD_IDS = 5  # real: limit.reachabilityQueryBuildIds


def partition_of(name: str) -> tuple[str, int]:
    """(name of the queue, number of the partition) that a partition's name says. Real: tqid.parseRpcName.

    Raises InvalidArgument for a name that begins as one and is none.
    """
    base, number = name, 0
    if name.startswith(PARTITION_PREFIX):
        base, _, suffix = name.removeprefix(PARTITION_PREFIX).rpartition("/")
        if not base or not suffix.isdecimal() or int(suffix) == 0:
            raise InvalidArgument(f"invalid task queue partition name {name}")
        number = int(suffix)
    family(base)
    return base, number


def family(name: str) -> None:
    """Raises InvalidArgument for a name that only a partition may have."""
    if name.startswith(PARTITION_PREFIX):
        raise InvalidArgument(f"task queue family name cannot have prefix {PARTITION_PREFIX} {name}")


def enhanced(request: DescribeTaskQueueRequest) -> None:
    """Raises InvalidArgument where the enhanced description cannot be given."""
    if request.report_task_reachability and len(request.versions.build_ids) > _REACHABILITY_BUILD_IDS:
        raise InvalidArgument(
            "Too many build ids queried at once with ReportTaskReachability==true, "
            f"limit: {_REACHABILITY_BUILD_IDS}"
        )
    if request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY:
        raise InvalidArgument(
            "Enhanced DescribeTaskQueue is not valid for a sticky queue, use api_mode=UNSPECIFIED or a normal queue."
        )


def update_config(request: UpdateTaskQueueConfigRequest, limits: Limits) -> None:
    """Raises InvalidArgument for a configuration that no queue can have."""
    workflow = request.task_queue_type == TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    update = request.update_queue_rate_limit
    if update.HasField("rate_limit") and workflow:
        raise InvalidArgument("Setting rate limit on workflow task queues is not allowed.")
    _rate_limit(update, "UpdateQueueRateLimit")
    update = request.update_fairness_key_rate_limit_default
    if update.HasField("rate_limit") and workflow:
        raise InvalidArgument("Setting fairness key rate limit on workflow task queues is not allowed.")
    _rate_limit(update, "UpdateFairnessKeyRateLimitDefault")
    _length("Identity", request.identity, limits.id_characters)
    _weights(request, limits)
    family(request.task_queue)


def _rate_limit(update: UpdateTaskQueueConfigRequest.RateLimitUpdate, label: str) -> None:
    if not update.HasField("rate_limit"):
        return
    if update.rate_limit.requests_per_second < 0:
        raise InvalidArgument(f"RequestsPerSecond for {label} rate limit must be non-negative.")
    _length(f"{label}.Reason", update.reason, _REASON_CHARACTERS)


def _length(field: str, value: str, most: int) -> None:
    if len(value.encode()) > most:
        raise InvalidArgument(f"{field} field too long (max {most} characters).")


def _weights(request: UpdateTaskQueueConfigRequest, limits: Limits) -> None:
    """Real: validateFairnessWeightUpdate."""
    weights, unset = request.set_fairness_weight_overrides, request.unset_fairness_weight_overrides
    total = len(weights) + len(unset)
    if total > limits.fairness_weight_overrides:
        raise InvalidArgument(
            f"too many fairness weight overrides in request: got {total}, "
            f"maximum {limits.fairness_weight_overrides}"
        )
    for key, weight in weights.items():
        _fairness_key(key)
        if weight <= 0:
            raise InvalidArgument(
                f'invalid fairness weight weight for key "{key}": must be greater than zero'
            )
    for key in unset:
        _fairness_key(key)
    for key in unset:
        if key in weights:
            raise InvalidArgument(f'fairness weight override key "{key}" present in both set and unset lists')


def _fairness_key(key: str) -> None:
    if not key:
        raise InvalidArgument("fairness weight override key must not be empty")
    if len(key.encode()) > validation.FAIRNESS_KEY_BYTES:
        raise InvalidArgument("fairness key length exceeds limit")


def described_queue(request: DescribeTaskQueueRequest, limits: Limits) -> tuple[str, int]:
    """(name, partition) of the queue of a plain description. Raises InvalidArgument.

    Unlike other calls, this one may name a partition.
    """
    queue = request.task_queue
    queue.kind = queue.kind or TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    if queue.name.startswith(PARTITION_PREFIX):
        if validation.too_long(queue.name, limits):
            raise InvalidArgument("taskQueue length exceeds limit")
    else:
        validation.task_queue(queue, limits)
    normal_name(queue, limits)
    return partition_of(queue.name)
