"""A command that fails its workflow task, and the limits of size and number that every command shares.

Real: workflowTaskFailedCause, service/history/api/respondworkflowtaskcompleted/workflow_size_checker.go.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import WorkflowTaskFailedCause

from mockcloud.core.failures import camel_case


class CommandFailure(Exception):
    """A command that fails its workflow task.

    `terminate`: it ends the run as well (a payload over the limit). `unbuilt`: nothing is wrong with it,
    but it is not implemented here; the message names it.
    """

    def __init__(
        self,
        cause: WorkflowTaskFailedCause.ValueType,
        reason: str = "",
        *,
        terminate: bool = False,
        unbuilt: bool = False,
    ) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason
        self.terminate = terminate
        self.unbuilt = unbuilt

    @property
    def unhandled(self) -> bool:
        """Whether the worker would have closed the run without having seen everything."""
        return self.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND

    @property
    def message(self) -> str:
        """As the failed event and the worker's error word it. Real: workflowTaskFailedCause.Message."""
        cause = camel_case(WorkflowTaskFailedCause.Name(self.cause), "WORKFLOW_TASK_FAILED_CAUSE_")
        return f"{cause}: {self.reason}" if self.reason else cause


def require_size(size: int, limit: int, cause: WorkflowTaskFailedCause.ValueType, name: str) -> None:
    """Raises CommandFailure, which ends the run, for a payload or a memo of more bytes than the limit.

    Real: checkIfPayloadSizeExceedsLimit, checkIfMemoSizeExceedsLimit.
    """
    if size > limit:
        raise CommandFailure(cause, f"{name} exceeds size limit.", terminate=True)


def require_room(pending: int, limit: int, cause: WorkflowTaskFailedCause.ValueType, what: str) -> None:
    """Raises CommandFailure where so many things of a kind are pending that no further one may be.

    A limit of 0 is none. Real: checkCountConstraint.
    """
    if 0 < limit <= pending:
        raise CommandFailure(
            cause, f"the number of {what}, {pending}, has reached the per-workflow limit of {limit}"
        )
