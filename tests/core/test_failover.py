from __future__ import annotations

from temporalio.api.enums.v1 import WorkflowTaskFailedCause

from mockcloud.core import failover
from mockcloud.core.change import RunChange
from mockcloud.core.derive import derive
from tests.core.makers import Life, World, same_state
from tests.core.test_workflow_task import complete, fail, send_signal, take

FAILOVER_CLOSE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND


def versions(life: Life, first: int) -> list[int]:
    return [event.version for event in life.events if event.event_id >= first]


def test_a_task_started_in_the_old_region_is_failed_under_the_new_version() -> None:
    # Given a started task that replicated to B, when B turns active and the run is touched.
    life = Life(World())
    take(life)
    life.world.region, life.world.version = "B", 2
    life.commit(life.change())

    # Then, as recorded in 08a, it is failed and scheduled anew, all under the new version.
    assert life.types(4) == ["WORKFLOW_TASK_FAILED", "WORKFLOW_TASK_SCHEDULED"]
    assert versions(life, 4) == [2, 2]
    failed = life.events[3].workflow_task_failed_event_attributes
    assert (failed.cause, failed.identity) == (FAILOVER_CLOSE, "history-service")
    (only,) = derive(life.run).offers
    assert only.attempt == 1
    assert same_state(life.run, life.rebuilt()) == []


def test_a_region_that_stays_active_under_a_new_version_ends_its_task_under_the_old_one() -> None:
    # Given a task and a signal from before A lost and regained the namespace.
    life = Life(World())
    take(life)
    send_signal(life)
    life.world.version = 11
    send_signal(life, "late")

    # Then what belongs to the task keeps its version, and one commit has a batch of each version.
    assert life.types(4) == [
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_EXECUTION_SIGNALED",
    ]
    assert versions(life, 4) == [1, 1, 1, 11]
    assert [batch.version for batch in life.outcomes[-1].batches] == [1, 11]
    items = life.run.version_history.items
    assert [(item.event_id, item.version) for item in items] == [(6, 1), (7, 11)]


def test_a_region_that_turned_passive_closes_its_task_under_its_own_version() -> None:
    life = Life(World())
    take(life)
    send_signal(life)
    life.world.version = 2
    change = RunChange(life.run, life.world.context())
    assert failover.close_task_of_lower_version(change)
    life.commit(change)
    assert life.types(4) == [
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    assert versions(life, 4) == [1, 1, 1]
    assert not failover.close_task_of_lower_version(RunChange(life.run, life.world.context()))


def test_a_region_that_was_passive_all_along_does_nothing() -> None:
    life = Life(World())
    take(life)
    life.world.region, life.world.version = "B", 11
    change = life.change()
    assert not change.changed
    assert not failover.close_task_of_lower_version(change)


def test_a_task_that_is_only_scheduled_stays_and_starts_under_the_new_version() -> None:
    life = Life(World())
    complete(life, take(life).token, sticky=True)
    send_signal(life)
    life.world.region, life.world.version = "B", 2
    life.run.record.ClearField("sticky")  # as replication does
    (only,) = derive(life.run).offers
    assert (only.task_queue, only.sticky) == ("tq", False)
    started = take(life)
    assert (started.first_event_id, started.token.version) == (1, 2)
    assert life.types(6) == ["WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"]
    assert versions(life, 6) == [1, 2]


def test_a_further_attempt_from_before_the_failover_is_a_first_one_after_it() -> None:
    # Scenario 10: the transient attempt of a failing task becomes a real one in the new region.
    life = Life(World())
    fail(life, take(life).token)
    life.world.region, life.world.version = "B", 2
    started = take(life)
    assert started.attempt == 1
    assert life.types(5) == ["WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"]
    assert versions(life, 5) == [2, 2]


def test_a_started_further_attempt_leaves_no_failed_event() -> None:
    life = Life(World())
    fail(life, take(life).token)
    take(life)
    life.world.region, life.world.version = "B", 2
    life.commit(life.change())
    assert life.types(5) == ["WORKFLOW_TASK_SCHEDULED"]
    assert versions(life, 5) == [2]
