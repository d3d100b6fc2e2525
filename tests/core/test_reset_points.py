from __future__ import annotations

from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from mockcloud.core import describe, times, workflow_task
from tests.core.lives import WorkedLife, continue_as_new
from tests.core.makers import START, World, same_state


def decide(life: WorkedLife, *commands: object, build: str = "", checksum: str = "") -> None:
    """A worker of some build completes the pending task."""
    if not commands:
        life.signal()
    token = life.take_task()
    change = life.change()
    workflow_task.complete_workflow_task(
        change,
        token,
        RespondWorkflowTaskCompletedRequest(
            commands=commands,  # type: ignore[arg-type]  # only of one type
            binary_checksum=checksum,
            worker_version_stamp=WorkerVersionStamp(build_id=build) if build else None,
        ),
        lambda: "run-2",
    )
    life.commit(change)


def points(life: WorkedLife) -> list[tuple[str, str, str, int]]:
    """Build, checksum, run and event of each point of a run."""
    return [
        (point.build_id, point.binary_checksum, point.run_id, point.first_workflow_task_completed_id)
        for point in life.run.reset_points
    ]


def test_each_build_is_noted_where_it_first_decided() -> None:
    life = WorkedLife()
    for build, checksum in (("1", ""), ("1", ""), ("2", ""), ("2", "c"), ("1", "")):
        decide(life, build=build, checksum=checksum)
    assert points(life) == [("1", "", "run-1", 5), ("2", "", "run-1", 13), ("2", "c", "run-1", 17)]
    assert same_state(life.run, life.rebuilt()) == []
    context = life.world.context()
    shown = describe.describe(life.run, context.now, context.namespace).workflow_execution_info
    assert list(shown.auto_reset_points.points) == list(life.run.reset_points)
    assert not any(point.HasField("expire_time") for point in life.run.reset_points)


def test_only_the_last_twenty_are_kept() -> None:
    life = WorkedLife()
    for build in range(25):
        decide(life, build=str(build))
    assert [build for build, *_ in points(life)] == [str(build) for build in range(5, 25)]


def test_a_run_gets_the_points_of_those_before_until_they_are_deleted() -> None:
    # Given a namespace that keeps closed runs for a day.
    first = WorkedLife(World(retention=times.DAY))
    decide(first, continue_as_new(), build="1")

    # When a run continues it, then it has its points, which expire with the run that they lead to.
    second = first.next_run()
    (point,) = second.run.reset_points
    assert points(second) == [("1", "", "run-1", 4)]
    assert times.nanoseconds(point.expire_time) == START + times.DAY
    assert list(second.run.start.prev_auto_reset_points.points) == [point]

    # And a run that comes after that has its own alone.
    second.pass_time(25 * times.HOUR)
    decide(second, continue_as_new(), build="2")
    third = second.next_run()
    assert points(third) == [("2", "", "run-2", 4)]
