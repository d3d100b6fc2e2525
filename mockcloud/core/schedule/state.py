"""One schedule in memory, and what it is made of.

Nothing here decides anything: `machine` does, on this state. Times are nanoseconds since the Unix epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import BackfillRequest, Schedule, ScheduleInfo
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo

from mockcloud.api.state.v1.schedule_pb2 import ScheduleRecord
from mockcloud.core import times
from mockcloud.core.schedule import spec as specs
from mockcloud.core.schedule.errors import SpecError
from mockcloud.core.schedule.spec import Spec

SKIP: Final = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP
BUFFER_ONE: Final = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE
BUFFER_ALL: Final = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
CANCEL_OTHER: Final = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER
TERMINATE_OTHER: Final = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER
ALLOW_ALL: Final = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL

# What the real server's scheduler has as constants (CurrentTweakablePolicies).
DEFAULT_CATCHUP_WINDOW: Final = 365 * times.DAY
MINIMUM_CATCHUP_WINDOW: Final = 10 * times.SECOND

LATEST: Final = (1 << 63) - 1  # of the moments and durations that Go and a record can hold

# The workflow that a schedule is in the real server.
WORKFLOW_ID_PREFIX: Final = "temporal-sys-scheduler:"


@dataclass(slots=True)
class ScheduleState:
    """A schedule: its record, and the messages that are in it as bytes. Changed in place, under its lock."""

    record: ScheduleRecord
    schedule: Schedule
    info: ScheduleInfo

    @classmethod
    def load(cls, raw: bytes) -> ScheduleState:
        """The state of a serialised ScheduleRecord."""
        record = ScheduleRecord.FromString(raw)
        return cls(record, Schedule.FromString(record.schedule), ScheduleInfo.FromString(record.info))

    def dump(self) -> bytes:
        """The serialised record, its parts brought up to date. Equal states give equal bytes."""
        self.record.schedule = self.schedule.SerializeToString(deterministic=True)
        self.record.info = self.info.SerializeToString(deterministic=True)
        return self.record.SerializeToString(deterministic=True)

    @property
    def schedule_id(self) -> str:
        return self.record.schedule_id

    @property
    def workflow_id(self) -> str:
        """Of the workflow that it is in the real server: it is in error messages."""
        return WORKFLOW_ID_PREFIX + self.record.schedule_id

    @property
    def open(self) -> bool:
        """Whether it is there: neither deleted nor over."""
        return self.record.close_time == 0

    @property
    def paused(self) -> bool:
        return self.schedule.state.paused

    @property
    def spec(self) -> Spec | None:
        """The compiled spec; None: it is none (its time zone may be unknown to this machine)."""
        try:
            return specs.compiled(self.schedule.spec.SerializeToString(deterministic=True))
        except SpecError:
            return None

    @property
    def action(self) -> NewWorkflowExecutionInfo | None:
        """The workflow to start; None: there is nothing to do."""
        action = self.schedule.action
        return action.start_workflow if action.WhichOneof("action") == "start_workflow" else None

    @property
    def busy(self) -> bool:
        """Whether something of it is under way, which may have moved on while nobody looked."""
        record = self.record
        return bool(
            record.pending_starts
            or record.buffered_starts
            or record.ongoing_backfills
            or self.info.running_workflows
        )

    @property
    def catchup_window(self) -> int:
        """How late a missed action may still be started."""
        policies = self.schedule.policies
        if not policies.HasField("catchup_window"):
            return DEFAULT_CATCHUP_WINDOW
        return min(max(times.nanoseconds(policies.catchup_window), MINIMUM_CATCHUP_WINDOW), LATEST)

    @property
    def may_act(self) -> bool:
        """Whether scheduled actions are taken: it is not paused, and some are left."""
        state = self.schedule.state
        return not state.paused and (not state.limited_actions or state.remaining_actions > 0)

    @property
    def last_event(self) -> int:
        """When it was last created, updated, or acted."""
        info = self.info
        acted = times.nanoseconds(info.recent_actions[-1].actual_time) if info.recent_actions else 0
        return max(acted, times.nanoseconds(info.create_time), times.nanoseconds(info.update_time))

    @property
    def backfills_at_once(self) -> bool:
        """Whether there is a backfill whose actions do not wait for each other."""
        ongoing = self.record.ongoing_backfills
        return (
            bool(ongoing) and self.overlap(BackfillRequest.FromString(ongoing[0]).overlap_policy) == ALLOW_ALL
        )

    def overlap(self, policy: int) -> int:
        """The policy that holds where `policy` was asked for."""
        return policy or self.schedule.policies.overlap_policy or SKIP
