"""Who is known as a worker in the region that takes over."""

from __future__ import annotations

from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import (
    ListWorkersRequest,
    ListWorkersResponse,
    RecordWorkerHeartbeatRequest,
)

from tests.scenarios.stage import EAST, LOCALLY, NO_METADATA, WEST, Stage


async def known(stage: Stage, region: str, *, locally: bool = False) -> list[str]:
    metadata = LOCALLY if locally else NO_METADATA
    answer = await stage.at(region).ask(ListWorkersRequest(), ListWorkersResponse, metadata=metadata)
    return [worker.worker_instance_key for worker in answer.workers]


async def test_the_active_region_knows_the_workers_from_their_next_heartbeat_on(stage: Stage) -> None:
    heartbeat = RecordWorkerHeartbeatRequest(worker_heartbeat=[WorkerHeartbeat(worker_instance_key="k")])
    await stage.at(WEST).call(heartbeat)  # forwarded to the active region
    assert await known(stage, EAST) == ["k"]
    assert await known(stage, WEST) == ["k"], "and so is the question"
    assert await known(stage, WEST, locally=True) == []

    await stage.switch()

    active, passive = stage.new, stage.old
    if len(stage.route) == 1:
        assert await known(stage, active) == [], "nothing of it replicates"
    await stage.at(passive).call(heartbeat)
    assert await known(stage, active) == ["k"]
    assert await known(stage, passive) == ["k"]
