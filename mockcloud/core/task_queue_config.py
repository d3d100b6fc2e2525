"""What the API says of a task queue: rate limits, and weights of fairness keys. Kept by name, for each type of queue.

Any region may write it; the newest word counts, by a hybrid logical clock. Real: matching's UpdateTaskQueueConfig,
ApplyTaskQueueUserDataReplicationEvent (common/clock/hybrid_logical_clock).
"""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.taskqueue.v1 import ConfigMetadata, RateLimitConfig, TaskQueueConfig
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest

from mockcloud.api.state.v1.state_pb2 import TaskQueueUserData
from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits


def update(
    known: TaskQueueUserData | None,
    request: UpdateTaskQueueConfigRequest,
    *,
    now: int,
    region_number: int,
    limits: Limits,
) -> TaskQueueUserData:
    """What is said of the queue after `request`. `region_number`: the region's initial failover version.

    Raises:
        InvalidArgument: too many fairness keys would have a weight.
    """
    data = TaskQueueUserData(task_queue=request.task_queue)
    if known is not None:
        data.CopyFrom(known)
    _tick(data, now, region_number)
    config = TaskQueueConfig.FromString(data.configs[request.task_queue_type])
    moment = times.timestamp(data.wall_clock * times.MILLISECOND)
    if request.HasField("update_queue_rate_limit"):
        config.queue_rate_limit.CopyFrom(_limit(request, request.update_queue_rate_limit, moment))
    if request.HasField("update_fairness_key_rate_limit_default"):
        config.fairness_keys_rate_limit_default.CopyFrom(
            _limit(request, request.update_fairness_key_rate_limit_default, moment)
        )
    if request.set_fairness_weight_overrides or request.unset_fairness_weight_overrides:
        _merge_weights(config, request, limits)
    data.configs[request.task_queue_type] = config.SerializeToString()
    return data


def receive(known: TaskQueueUserData | None, incoming: TaskQueueUserData) -> TaskQueueUserData | None:
    """What is said of the queue after a peer's word; None: what is known is as new."""
    if known is not None and _clock(known) >= _clock(incoming):
        return None
    return incoming


def config_of(data: TaskQueueUserData, task_queue_type: int) -> TaskQueueConfig | None:
    """What is said of the queue of one type; None: nothing ever was."""
    raw = data.configs.get(task_queue_type)
    return None if raw is None else TaskQueueConfig.FromString(raw)


def _limit(
    request: UpdateTaskQueueConfigRequest,
    update: UpdateTaskQueueConfigRequest.RateLimitUpdate,
    moment: Timestamp,
) -> RateLimitConfig:
    """A limit with who set it and why; without a rate it is unset, and still says who and why."""
    return RateLimitConfig(
        rate_limit=update.rate_limit if update.HasField("rate_limit") else None,
        metadata=ConfigMetadata(reason=update.reason, update_identity=request.identity, update_time=moment),
    )


def _merge_weights(config: TaskQueueConfig, request: UpdateTaskQueueConfigRequest, limits: Limits) -> None:
    """Real: mergeFairnessWeightOverrides."""
    weights = dict(config.fairness_weight_overrides)
    for key in request.unset_fairness_weight_overrides:
        weights.pop(key, None)
    weights.update(request.set_fairness_weight_overrides)
    if len(weights) > limits.fairness_weight_overrides:
        raise InvalidArgument("fairness weight overrides update rejected: exceeding maximum key size")
    config.fairness_weight_overrides.clear()
    config.fairness_weight_overrides.update(weights)


def _clock(data: TaskQueueUserData) -> tuple[int, int, int]:
    return data.wall_clock, data.clock_counter, data.clock_region


def _tick(data: TaskQueueUserData, now: int, region_number: int) -> None:
    """Advance the clock. Real: hlc.Next."""
    milliseconds = now // times.MILLISECOND
    if milliseconds > data.wall_clock:
        data.wall_clock, data.clock_counter = milliseconds, 0
    else:
        data.clock_counter += 1
    data.clock_region = region_number
