from __future__ import annotations

import asyncio

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from mockcloud.core.run import Run, RunKey
from mockcloud.engine import commit
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.watch import Watch
from tests.core.test_reapply import context

KEY = RunKey("namespace", "order-1", "run-1")


def committed(run: Run) -> commit.Committed:
    return commit.in_memory(run, commit.NOTHING, commit.NOTHING, {})


async def test_who_waits_for_the_close_is_not_woken_before() -> None:
    watch, run = Watch(), Run(KEY)
    given = context()
    namespace = Namespace(given.namespace, given.region, given.clusters)
    now = asyncio.get_running_loop().time()
    with watch.watching(KEY) as any_change, watch.watching(KEY, close_only=True) as close:
        watch.committed(namespace, committed(run))
        assert await any_change.wait(now + 10)
        assert not await close.wait(now)
        run.status = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
        watch.committed(namespace, committed(run))
        assert await any_change.wait(now + 10)
        assert await close.wait(now + 10)
    watch.committed(namespace, committed(run))
    assert not await close.wait(now)
