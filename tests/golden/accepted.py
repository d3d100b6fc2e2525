"""Deliberate differences, one by one: where, what was recorded, what is ours, and why. Nothing else may differ.

By folder: the same scenario was recorded with both ways of replicating. A recording of another folder has no entry, and
neither has one with an unknown name; only `EVERYWHERE` holds for each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.golden.compare import NOTHING, Difference


@dataclass(frozen=True)
class Accepted:
    """A difference that is known. The first three are regular expressions for the whole of what they name."""

    where: str
    recorded: str
    ours: str
    why: str
    sometimes: bool = False  # two things happen at once, and either may be first

    def covers(self, difference: Difference) -> bool:
        return all(
            re.fullmatch(expected, found)
            for expected, found in (
                (self.where, difference.where),
                (self.recorded, difference.recorded),
                (self.ours, difference.ours),
            )
        )


_SNAPSHOT: Final = r"\w+, [AB]"
_W1: Final = rf"{_SNAPSHOT}, w1, run 1"
_LENGTH: Final = r"described(, closed)?\.workflowExecutionInfo\.historyLength"
_SCHEDULED_TASK: Final = r'\{"state": "PENDING_WORKFLOW_TASK_STATE_SCHEDULED", .*'

_BY_TOUCH: Final = (
    "there the winner's run was read between two batches of the loser's tail, which is a touch; without one the tail "
    "stands"
)
_ANY_BATCH: Final = (
    "there the loser's workflow task, a batch before its update, already makes the closed winner go on; here only what "
    "is reapplied does, so the update is admitted before the new run's workflow task is scheduled"
)
_WORKER: Final = (
    "a Started event written after the switch names the worker that has the activity, as with the server's newer way "
    "of replicating"
)
_AT_ONCE: Final = (
    "here the old region learns of the switch at once, there with the next refresh of its namespaces"
)
_TAIL: Final = (
    "there state arrives whole, and all signals of a tail are reapplied in one go; here batch by batch, as in the "
    "recording of event-based replication, which is equal"
)
_ZOMBIE: Final = (
    "there signals that reach a zombie after its creation are lost; here they are reapplied, as in the recording of "
    "event-based replication, which is equal"
)
_UNANSWERED: Final = (
    "a winner that closed before any workflow task completed: there the apply fails until it is given up, here the run "
    "is reset at its scheduled workflow task"
)
_COPIES: Final = (
    "there state arrives whole, at its last version only; here B takes in A's batch while it still leads, and the copy "
    "that it wrote is applied again, as in the recording of event-based replication of 09b, which is equal"
)
_HANGS: Final = "there the update waits for a workflow task that nobody can give; here it is refused at once"
_PAUSE: Final = "pausing workflows was off there, and is on here"
_NOT_SERVED: Final = "standalone activities, worker deployments and versioning v0.1 are not served here"
_NAMESPACE_ID: Final = "there these calls name the namespace's id in place of its name"
_FORWARDED: Final = "the newer source forwards it with the setting `selected`, and so does this one"
_NO_ORDER: Final = "recorded was that wdel-b is still listed: its row went a moment later than the run"
_CLEARED: Final = (
    "there HANDOVER survives a switch that is issued at the other side; here the higher failover version clears it, "
    "and calls are served"
)
_FIRST_READ: Final = (
    "at the switch there A's read fails the started workflow task first; here B is active at once, and may be the "
    "first"
)
_DUE: Final = "a time-out that came due in HANDOVER is acted upon when it ends; there the snapshot came first"
_DELETED: Final = "there a deletion does not replicate, here it does"
_LOAD: Final = "its load was not recorded, and cannot be played"
_SDK: Final = "an SDK Worker and its client did everything: there are no calls to play"


def _extra_signal(where: str, event: str, why: str) -> tuple[Accepted, ...]:
    """A signal that ours has beyond the recording, and what follows from it."""
    return (
        Accepted(where + ": history", NOTHING, event, why),
        Accepted(rf"{where}: {_LENGTH}", r"\d+", r"\d+", why),
    )


def _reset(why: str) -> tuple[Accepted, ...]:
    """Ours resets the closed run, where there it stayed as it was."""
    return (
        Accepted(f"{_W1}: current", "true", "false", why),
        Accepted(rf"{_SNAPSHOT}, w1", NOTHING, "a run RUNNING of 6 events, .*SCHEDULED", why),
        Accepted(r"\w+, B, w1, run 1: losing branch", NOTHING, r"\[\[3, 1\]\]", why),
    )


def _not_served() -> tuple[Accepted, ...]:
    unimplemented = r"unimplemented: \w+ is not built\."
    methods = (
        "GetWorkerBuildIdCompatibility|ListWorkerDeployments|StartActivityExecution|DescribeActivityExecution"
    )
    return (Accepted(rf"B\.({methods}) at .*", ".*", unimplemented, _NOT_SERVED),)


def _named_by_id() -> tuple[Accepted, ...]:
    where = r"B\.(Update|Pause|Unpause|Reset)Activity(Options)? at [\d.]+: "
    return (
        Accepted(
            where + "message", r"Namespace: [-\w]{36} is active .*", "Namespace: ns-10.*", _NAMESPACE_ID
        ),
        Accepted(where + r"details\[0\]\.namespace", r"[-\w]{36}", "ns-10.*", _NAMESPACE_ID),
    )


def _paused() -> tuple[Accepted, ...]:
    read = r"B\.GetWorkflowExecutionHistory(Reverse)? at .*"
    return (
        Accepted(r"B\.PauseWorkflowExecution at .*", "Unimplemented", "an answer", _PAUSE),
        Accepted(r"B\.UnpauseWorkflowExecution at .*", "FailedPrecondition", "an answer", _PAUSE),
        Accepted(read, NOTHING, r"\d+ WORKFLOW_EXECUTION_(UN)?PAUSED v1", _PAUSE),
        Accepted(rf"B\.DescribeWorkflowExecution at .*{_LENGTH[22:]}", r"\d+", r"\d+", _PAUSE),
    )


def _at_the_switch() -> tuple[Accepted, ...]:
    activity = rf"{_W1}: described\.pendingActivities\[0\]"
    return (
        Accepted(
            rf"{_W1}: history, event (9|10) \(WORKFLOW_TASK_\w+\)\.version", "1", "2", _FIRST_READ, True
        ),
        Accepted(f"{_W1}: losing branch", NOTHING, r"\[\[10, 1\]\]", _FIRST_READ, True),
        Accepted(rf"{activity}\.state", ".*STARTED", ".*SCHEDULED", _DUE, True),
        Accepted(rf"{activity}\.currentRetryInterval", NOTHING, "1s", _DUE, True),
        Accepted(
            r"after_normal, B: namespace\.replicationConfig\.state", ".*HANDOVER", ".*NORMAL", _CLEARED, True
        ),
    )


EVERYWHERE: Final = (
    Accepted(
        r".*: described, closed\.pendingWorkflowTask",
        _SCHEDULED_TASK,
        NOTHING,
        "a run that closed keeps the workflow task that was scheduled in its description there; here it has nothing "
        "pending",
    ),
    Accepted(
        r".*: described, closed\.workflowExtendedInfo\.resetRunId",
        ".*",
        ".*",
        "by which run a closed one was reset is in no event, so only one side knows it there, and a reset that came to "
        "nothing left its mark; with the server's newer way of replicating both know it",
    ),
    Accepted(
        r".*: described\.pendingWorkflowTask",
        NOTHING,
        r'\{"state": "PENDING_WORKFLOW_TASK_STATE_STARTED", .*',
        "a workflow task that is in memory only is described here, and was not in what was recorded",
    ),
)

_EVENT_BASED: Final[dict[str, Sequence[Accepted]]] = {
    "03b_split_loser_completed_winner_idle": (
        Accepted(rf"{_W1}: (described\..*)?status", ".*RUNNING", ".*COMPLETED", _BY_TOUCH),
        Accepted(
            f"{_W1}: history", "(8 WORKFLOW_TASK_FAILED|9 WORKFLOW_TASK_SCHEDULED) v2", NOTHING, _BY_TOUCH
        ),
        Accepted(
            f"{_W1}: history",
            NOTHING,
            "(8 WORKFLOW_TASK_COMPLETED|9 WORKFLOW_EXECUTION_COMPLETED) v1",
            _BY_TOUCH,
        ),
        Accepted(f"{_W1}: losing branch", r"\[\[9, 1\]\]", NOTHING, _BY_TOUCH),
        Accepted(rf"{_W1}: described\.pendingWorkflowTask", _SCHEDULED_TASK, NOTHING, _BY_TOUCH),
    ),
    "04c_winner_closed_loser_cancel_terminate_update": (
        Accepted(
            rf"{_SNAPSHOT}, wu, run 1: history",
            "10 WORKFLOW_EXECUTION_UPDATE_ADMITTED v2 u1",
            "9 WORKFLOW_EXECUTION_UPDATE_ADMITTED v2 u1, in another order",
            _ANY_BATCH,
        ),
    ),
    "06c_sdk_updates_signals_split": (Accepted(_W1, "a run .*", NOTHING, _SDK),),
    "08a_wft_started_at_failover_graceful_link": (
        Accepted(
            f"{_W1}: history", NOTHING, "(4 WORKFLOW_TASK_FAILED|5 WORKFLOW_TASK_SCHEDULED) v1", _AT_ONCE
        ),
        Accepted(
            f"{_W1}: history",
            "(4 WORKFLOW_TASK_COMPLETED v1|5 TIMER_STARTED v1 t|6 TIMER_FIRED v2 t)",
            NOTHING,
            _AT_ONCE,
        ),
        Accepted(rf"{_W1}: history, event 7 \(WORKFLOW_TASK_SCHEDULED\)\.version", "2", "1", _AT_ONCE),
        Accepted(rf"{_W1}: described\.pendingWorkflowTask\.state", ".*STARTED", ".*SCHEDULED", _AT_ONCE),
        Accepted(rf"{_W1}: described\.pendingWorkflowTask", NOTHING, _SCHEDULED_TASK, _AT_ONCE),
        Accepted(rf"{_W1}: {_LENGTH}", "3|10", "5|8", _AT_ONCE),
        Accepted(
            r"A\.RespondWorkflowTaskCompleted at 4\.374", "an answer", "failedprecondition: .*", _AT_ONCE
        ),
        Accepted(
            r"B\.PollWorkflowTaskQueue at 4\.527\.history\.events",
            "(4 WORKFLOW_TASK_COMPLETED|5 TIMER_STARTED|6 TIMER_FIRED) v[12]",
            NOTHING,
            _AT_ONCE,
        ),
        Accepted(
            r"B\.PollWorkflowTaskQueue at 4\.527\.history\.events",
            NOTHING,
            "4 WORKFLOW_TASK_FAILED v1",
            _AT_ONCE,
        ),
        Accepted(
            r"B\.PollWorkflowTaskQueue at 4\.527\.history\.events, event 7 .*\.version", "2", "1", _AT_ONCE
        ),
        Accepted(r"B\.PollWorkflowTaskQueue at 4\.527\.previousStartedEventId", "3", NOTHING, _AT_ONCE),
    ),
    "08e_activity_started_replicated_and_not": (
        Accepted(
            rf"{_SNAPSHOT}, wrep, run 1: history, event 6 \(ACTIVITY_TASK_STARTED\)\..*identity",
            NOTHING,
            "worker-A",
            _WORKER,
        ),
    ),
}

_STATE_BASED: Final[dict[str, Sequence[Accepted]]] = {
    "02_split_signals_both": (
        Accepted(
            rf"({_W1}: history|B\.PollWorkflowTaskQueue at 10\.531\.history\.events)",
            "11 WORKFLOW_TASK_SCHEDULED v2",
            "10 WORKFLOW_TASK_SCHEDULED v2, in another order",
            _TAIL,
        ),
    ),
    "04_winner_closed_late_signal_on_loser": (
        Accepted(
            rf"({_SNAPSHOT}, w1, run 2: history|B\.PollWorkflowTaskQueue at 10\.651\.history\.events)",
            "11 WORKFLOW_TASK_SCHEDULED v2",
            "10 WORKFLOW_TASK_SCHEDULED v2, in another order",
            _TAIL,
        ),
    ),
    "04d_winner_closed_without_any_wft_late_signal": _reset(_UNANSWERED),
    "04f_winner_closed_without_any_wft_poison": _reset(_UNANSWERED),
    "05d_same_wid_one_direction_first_zombie": _extra_signal(
        rf"{_SNAPSHOT}, w1, run 2", "7 WORKFLOW_EXECUTION_SIGNALED v2 sA2", _ZOMBIE
    ),
    "06c_sdk_updates_signals_split": _EVENT_BASED["06c_sdk_updates_signals_split"],
    "07_continue_as_new_on_loser": (
        *_extra_signal(_W1, "11 WORKFLOW_EXECUTION_SIGNALED v2 sA2", _ZOMBIE),
        Accepted(
            r"B\.PollWorkflowTaskQueue at 9\.755\.history\.events",
            NOTHING,
            "11 WORKFLOW_EXECUTION_SIGNALED v2",
            _ZOMBIE,
        ),
    ),
    "08a_wft_started_at_failover_graceful_link": (
        Accepted(
            rf"({_W1}: history|B\.PollWorkflowTaskQueue at 4\.541\.history\.events), event [45] \(.*\)\.version",
            "2",
            "1",
            _AT_ONCE,
        ),
        Accepted(f"{_W1}: losing branch", r"\[\[5, 1\]\]", NOTHING, _AT_ONCE),
    ),
    "08b_wft_started_at_failover_signal_arrives": (
        Accepted(
            r"after_signal, [AB], w1, run 1: history",
            NOTHING,
            "(4 WORKFLOW_TASK_FAILED v2|5 WORKFLOW_TASK_SCHEDULED v2|6 WORKFLOW_EXECUTION_SIGNALED v2 s1)",
            _AT_ONCE,
        ),
        Accepted(rf"{_W1}: described\.pendingWorkflowTask\.state", ".*STARTED", ".*SCHEDULED", _AT_ONCE),
        Accepted(rf"after_signal, [AB], w1, run 1: {_LENGTH}", "3", "6", _AT_ONCE),
        Accepted(r"final, [AB], w1, run 1: losing branch", r"\[\[6, 1\]\]", NOTHING, _AT_ONCE),
    ),
    "08f_wft_started_at_failover_what_is_a_touch": (
        Accepted(f"{_W1}: losing branch", r"\[\[5, 1\]\]", NOTHING, _AT_ONCE),
    ),
    **{
        name: (
            *_extra_signal(_W1, "15 WORKFLOW_EXECUTION_SIGNALED v11 sA-v1", _COPIES),
            Accepted(
                rf"{_W1}: losing branch \[\[4, 1\], \[\d+, 2\]\]",
                NOTHING,
                r"\d+ WORKFLOW_(EXECUTION_SIGNALED v2 sA-v1|TASK_SCHEDULED v2)",
                _COPIES,
            ),
            Accepted(
                r"A\.PollWorkflowTaskQueue at (12\.936|22\.355)\.history\.events",
                NOTHING,
                "15 WORKFLOW_EXECUTION_SIGNALED v11",
                _COPIES,
            ),
        )
        for name in ("09_three_switches_1_2_11", "09b_three_switches_partial_replication")
    },
    "10a_all_passive_api_local": (
        Accepted(
            r"B\.UpdateWorkflowExecution at .*", "deadlineexceeded: .*", "failedprecondition: .*", _HANGS
        ),
        Accepted(
            r"B\.PauseWorkflowExecution at .*",
            "unimplemented: .*",
            "failedprecondition: Namespace: .*",
            _PAUSE,
        ),
        *_not_served(),
        *_named_by_id(),
    ),
    "10b_all_passive_api_default_header": (*_paused(), *_not_served()),
    "10b_selected_passive_api_default_header": (
        Accepted(
            r"B\.ExecuteMultiOperation at .*", "failedprecondition: .*", "deadlineexceeded: .*", _FORWARDED
        ),
        Accepted(
            r"B\.List(Open)?WorkflowExecutions at .*\.executions\.mo-b", NOTHING, ".*RUNNING.*", _FORWARDED
        ),
        Accepted(
            r"B\.List(Open)?WorkflowExecutions at .*\.executions\.wdel-b", ".*RUNNING.*", NOTHING, _NO_ORDER
        ),
        *_paused(),
        *_not_served(),
        *_named_by_id(),
    ),
    "11a_handover_calls": _at_the_switch(),
    "11a_handover_calls_nowait": (
        *_at_the_switch(),
        Accepted(
            r"(B\.UpdateNamespace at 65\.276|after_normal, B: namespace)\..*description",
            NOTHING,
            "from-d",
            _AT_ONCE,
            True,
        ),
        Accepted(r"after_normal, B: namespace\.failoverHistory\[1\]", NOTHING, ".*2.*", _AT_ONCE, True),
        Accepted(r"after_normal, B: namespace\.failoverVersion", "1", "2", _AT_ONCE, True),
        Accepted(r"after_normal, B: .*\.activeClusterName", "A", "B", _AT_ONCE, True),
    ),
    "11b_handover_then_switch_under_load": (Accepted(rf"{_W1}: (history|described\..*)", ".*", ".*", _LOAD),),
    "11c_handover_then_switch_issued_at_B": (
        Accepted(
            r"after_(switch|failback), A: namespace\.replicationConfig\.state",
            ".*HANDOVER",
            ".*NORMAL",
            _CLEARED,
        ),
        Accepted(r"A\.(Signal|Describe)WorkflowExecution at .*", "Unavailable", "an answer", _CLEARED),
        *_extra_signal(_W1, r"(5|8) WORKFLOW_EXECUTION_SIGNALED v(2 viaA|11 viaA2)", _CLEARED),
        Accepted(
            f"{_W1}: history",
            "6 WORKFLOW_TASK_SCHEDULED v2",
            "6 WORKFLOW_TASK_SCHEDULED v2, in another order",
            _CLEARED,
        ),
    ),
    "11d_handover_short_then_switch_under_load": (
        Accepted(rf"{_W1}: (history(, event [56] .*)?|described\..*)", ".*", ".*", _LOAD),
    ),
    "14b_who_learns_when": (
        Accepted(rf"{_SNAPSHOT}, w[12], run 1: (history|described\..*)", ".*", ".*", _LOAD),
    ),
    "15_delete_at_passive_local": (
        Accepted(r"after_delete_on_active, B, w1, run 1", "a run COMPLETED .*", NOTHING, _DELETED),
    ),
}

ACCEPTED: Final = {"event-based": _EVENT_BASED, "state-based": _STATE_BASED}


def of(path: Path) -> Sequence[Accepted]:
    """The table of one recording, without what holds everywhere."""
    return ACCEPTED.get(path.parent.name, {}).get(path.stem, ())


@dataclass(frozen=True)
class Judged:
    """The differences of a recording by the table."""

    others: list[Difference]  # that are in no table
    reasons: list[str]  # why the rest is as it is, each once
    stale: list[Accepted]  # of the recording's own table: what was not met


def judge(path: Path, differences: Sequence[Difference]) -> Judged:
    """Hold the differences against the table."""
    own = of(path)
    met: set[Accepted] = set()
    others = []
    for difference in differences:
        entry = next((each for each in (*own, *EVERYWHERE) if each.covers(difference)), None)
        if entry is None:
            others.append(difference)
        else:
            met.add(entry)
    reasons = list(dict.fromkeys(entry.why for entry in (*own, *EVERYWHERE) if entry in met))
    return Judged(others, reasons, [entry for entry in own if entry not in met and not entry.sometimes])
