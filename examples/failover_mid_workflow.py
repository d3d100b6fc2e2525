"""An order workflow lives through two failovers: a graceful one, and a forced one over a cut link.

What to see: the workflow is started in the first region and completed in the second after a graceful failover, and no
client noticed. Then the link between the regions is cut, both sides go on under different failover versions, and after
healing the history forks: one branch wins, the loser's signal is applied again, its activity result is lost.

    python examples/failover_mid_workflow.py
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console
from rich.table import Table
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mockcloud import MockCloud
from mockcloud.cloud.views import RunView

EAST, WEST = "aws-us-east-1", "aws-us-west-2"
TASK_QUEUE = "orders"


@activity.defn
async def charge(order: str) -> str:
    """Take the money; at least once, so a real one would be idempotent by order."""
    return f"charged {order}"


@activity.defn
async def ship(order: str) -> str:
    """Send the parcel."""
    return f"shipped {order}"


@workflow.defn
class OrderWorkflow:
    """Charge, wait a moment, collect notes until told to ship, then ship."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.go = False

    @workflow.signal
    def note(self, text: str) -> None:
        """Something the customer says."""
        self.notes.append(text)

    @workflow.signal
    def release(self) -> None:
        """The warehouse is ready."""
        self.go = True

    @workflow.query
    def seen(self) -> list[str]:
        """The notes so far."""
        return self.notes

    @workflow.run
    async def run(self, order: str) -> str:
        """The order's life."""
        limit = timedelta(seconds=10)
        await workflow.execute_activity(charge, order, start_to_close_timeout=limit)
        await workflow.sleep(0.2)
        await workflow.wait_condition(lambda: self.go)
        await workflow.execute_activity(ship, order, start_to_close_timeout=limit)
        return f"{order}: {', '.join(self.notes)}"


def worker(client: Client) -> Worker:
    """A Worker as an application would run it; nothing in it knows of regions."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[OrderWorkflow],
        activities=[charge, ship],
        # A workflow may stick to a Worker beyond a link that is cut: its next task waits for that one so long at most.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        # The sandbox only slows this small example down.
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


def timeline(console: Console, title: str, history: dict[str, Sequence[RunView]]) -> None:
    """Print what happened to each run, branch by branch, with the version that wrote each event."""
    for region, runs in history.items():
        for run in runs:
            table = Table(title=f"{title} as {region} has it: {run.status}", title_justify="left")
            table.add_column("id", justify="right")
            for number, branch in enumerate(run.branches):
                items = " ".join(f"{event}@v{version}" for event, version in branch.items)
                table.add_column(f"{'current' if branch.current else f'lost branch {number}'} [{items}]")
            length = max(len(branch.events) for branch in run.branches)
            for index in range(length):
                cells = []
                for number, branch in enumerate(run.branches):
                    if index >= len(branch.events):
                        cells.append("")
                        continue
                    event = branch.events[index]
                    name = (
                        EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").replace("_", " ").lower()
                    )
                    if event.HasField("workflow_execution_signaled_event_attributes"):
                        name += f" ({event.workflow_execution_signaled_event_attributes.signal_name})"
                    shared = number and index < len(run.events) and run.events[index] == event
                    colour = "dim" if shared else {1: "cyan", 2: "green"}.get(event.version % 10, "magenta")
                    cells.append(f"[{colour}]v{event.version} {name}[/]")
                table.add_row(str(index + 1), *cells)
            console.print(table)


async def graceful(cloud: MockCloud, console: Console) -> None:
    """A failover in the middle of a workflow, with both regions healthy."""
    console.rule("1. A graceful failover in the middle of a workflow")
    orders = cloud.namespace("orders")
    client = await orders.client()
    async with worker(client):
        handle = await client.start_workflow(
            OrderWorkflow.run, "order-1", id="order-1", task_queue=TASK_QUEUE
        )
        await handle.signal(OrderWorkflow.note, "before the failover")
        operation = await orders.failover(WEST)
        console.print(f"failover to {WEST}: {operation.state}, {operation.mode}, {operation.seconds:.3f} s")
        await handle.signal(OrderWorkflow.note, "after the failover")
        await handle.signal(OrderWorkflow.release)
        result = await handle.result()
        console.print(f"result: [bold]{result}[/]")
        assert result == "order-1: before the failover, after the failover", result
    await orders.replicated()
    history = await orders.history("order-1")
    timeline(console, "order-1", {WEST: history[WEST]})
    first, second = (
        [event.SerializeToString() for event in history[region][0].events] for region in (EAST, WEST)
    )
    assert first == second, "both regions must hold the same history"
    console.print("both regions hold the same history, event by event")


async def split(cloud: MockCloud, console: Console) -> None:
    """The link is cut, a forced failover leaves two active regions, and healing reconciles them."""
    console.rule("2. A cut link, a forced failover, and healing")
    orders = cloud.namespace("orders")
    west = await orders.client(WEST)
    east = await orders.client(EAST)
    # A Worker in each region; while its region is passive, what it polls comes from the active one.
    async with worker(west), worker(east):
        handle = await west.start_workflow(OrderWorkflow.run, "order-2", id="order-2", task_queue=TASK_QUEUE)
        await handle.signal(OrderWorkflow.note, "while all is well")
        await until_seen("order-2", west, 1)
        await orders.replicated()
        link = cloud.link(EAST, WEST).partition()
        operation = await orders.failover(EAST, forced=True)
        console.print(f"link cut; failover to {EAST}: {operation.state}, {operation.mode}")
        # The old region has not heard of it: it goes on under its own version.
        told = "told to the {} during the split"
        await west.get_workflow_handle("order-2").signal(OrderWorkflow.note, told.format("west"))
        await east.get_workflow_handle("order-2").signal(OrderWorkflow.note, told.format("east"))
        await until_seen("order-2", west, 2)
        await until_seen("order-2", east, 2)
        console.print("both regions went on by themselves; healing the link")
        link.remove()
        await orders.replicated()
        await until_seen("order-2", east, 3)
        await east.get_workflow_handle("order-2").signal(OrderWorkflow.release)
        result = await east.get_workflow_handle("order-2").result()
    console.print(f"result: [bold]{result}[/]")
    assert result.count("split") == 2, "no acknowledged signal is lost"
    await orders.replicated()
    history = await orders.history("order-2")
    timeline(console, "order-2", dict(history))
    assert len(history[EAST][0].branches) == len(history[WEST][0].branches) == 2, "one branch lost"


async def until_seen(workflow_id: str, client: Client, count: int) -> None:
    """Wait until the workflow has taken in `count` notes; a query sees everything before it."""
    handle = client.get_workflow_handle(workflow_id)
    while len(await handle.query(OrderWorkflow.seen)) < count:  # noqa: ASYNC110 the workflow is elsewhere
        await asyncio.sleep(0.02)


async def main() -> None:
    """Both acts, on one cloud."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    async with MockCloud(regions=[EAST, WEST]) as cloud:
        await cloud.create_namespace("orders")
        await graceful(cloud, console)
        await split(cloud, console)
    console.rule("done")


if __name__ == "__main__":
    asyncio.run(main())
    # The SDK's native threads may abort in the interpreter's shutdown; everything is said by now.
    sys.stdout.flush()
    os._exit(0)
