"""The current run of a workflow id, as every region keeps it beside its runs."""

from __future__ import annotations

from typing import NamedTuple

from temporalio.api.enums.v1 import WorkflowExecutionStatus


class CurrentRun(NamedTuple):
    """What a start must know about the workflow id's newest run. Real: persistence's current_executions row."""

    run_id: str
    create_request_id: str
    status: WorkflowExecutionStatus.ValueType
    start_time: int
    start_version: int
    last_write_version: int
    close_time: int  # 0: open
    # Of starts that found the run open and were attached to it: they too are known when they are sent again.
    attached_request_ids: tuple[str, ...] = ()
