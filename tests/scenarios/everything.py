"""One workflow with a bit of everything: what its test fails over at each of its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker
from temporalio.workflow import ParentClosePolicy

QUEUE = "everything"
QUICK = timedelta(seconds=30)


@dataclass
class Result:
    """What comes of it, wherever and however often it changes regions."""

    child: str = ""
    heartbeat: list[str] = field(default_factory=list)
    local: int = 0
    added: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ticked: bool = False


@activity.defn
async def resume() -> list[str]:
    """Fails once, and goes on from what it has heartbeat."""
    details = [str(detail) for detail in activity.info().heartbeat_details]
    if not details:
        activity.heartbeat("half way")
        raise ApplicationError("interrupted")
    return details


@activity.defn
async def double(number: int) -> int:
    """A local one."""
    return number * 2


@workflow.defn
class Child:
    """Takes a moment."""

    @workflow.run
    async def run(self, name: str) -> str:
        await workflow.sleep(timedelta(milliseconds=50))
        return f"hello {name}"


@workflow.defn
class Tick:
    """Runs by cron, and tells its parent."""

    @workflow.run
    async def run(self) -> None:
        parent = workflow.info().parent
        assert parent is not None
        await workflow.get_external_workflow_handle(parent.workflow_id).signal("tick")


@workflow.defn
class Everything:
    """Children, a cron child, an activity with a heartbeat, a local one, a timer, signals and an update."""

    def __init__(self) -> None:
        self.result = Result()

    @workflow.run
    async def run(self) -> Result:
        ticking = await workflow.start_child_workflow(
            Tick.run,
            id=f"{workflow.info().workflow_id}/tick",
            cron_schedule="@every 1s",
            parent_close_policy=ParentClosePolicy.TERMINATE,
        )
        assert ticking.id
        child = await workflow.start_child_workflow(
            Child.run, "child", id=f"{workflow.info().workflow_id}/child"
        )
        self.result.local = await workflow.execute_local_activity(double, 21, start_to_close_timeout=QUICK)
        self.result.heartbeat = await workflow.execute_activity(
            resume,
            start_to_close_timeout=QUICK,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=20)),
        )
        await workflow.sleep(timedelta(milliseconds=50))
        self.result.child = await child
        await workflow.wait_condition(
            lambda: bool(self.result.ticked and self.result.said and self.result.added)
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.result

    @workflow.signal
    def say(self, word: str) -> None:
        """Something to remember."""
        self.result.said.append(word)

    @workflow.signal
    def tick(self) -> None:
        """From the cron child."""
        self.result.ticked = True

    @workflow.update
    async def add(self, number: int) -> int:
        """Takes an activity's time."""
        doubled = await workflow.execute_activity(double, number, start_to_close_timeout=QUICK)
        self.result.added.append(doubled)
        return doubled

    @add.validator
    def check(self, number: int) -> None:
        """Only positive ones."""
        if number <= 0:
            raise ValueError("not positive")


EXPECTED = Result(
    child="hello child", heartbeat=["half way"], local=42, added=[8], said=["word"], ticked=True
)


def worker(client: Client) -> Worker:
    """A worker of all of it."""
    return Worker(client, task_queue=QUEUE, workflows=[Everything, Child, Tick], activities=[resume, double])
