"""Split brain: for a while two regions both believe that they are the active one, and both serve customers.

A story in five acts that asks for no knowledge of replication. What to see: which side wins, which promises of the
losing side are kept, and what is lost. What is told of the regions is read from the cloud and checked; the exit code
is 1 if anything is not so. `mockcloud report` and `mockcloud history` tell the same of a running cloud.

    python examples/split_brain.py
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mockcloud import MockCloud
from mockcloud.cloud.facade import Namespace
from mockcloud.cloud.failover_views import FailoverReport, Operation
from mockcloud.cloud.fault_handles import AppliedFault
from mockcloud.cloud.views import RunView

OLD, NEW = "aws-us-east-1", "aws-us-west-2"
TASK_QUEUE = "orders"

# What happened in the world: how often each item was taken from the shelf. No failover takes that back.
taken: Counter[str] = Counter()


@activity.defn
async def take(item: str) -> None:
    """Take an item from the shelf."""
    taken[item] += 1


@workflow.defn
class OrderWorkflow:
    """Takes each item from the shelf as it is added, until the order is sent."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.items: list[str] = []
        self.address = "the shop"
        self.sent = False

    @workflow.signal
    def add(self, item: str) -> None:
        """One more item."""
        self.waiting.append(item)

    @workflow.signal
    def send(self) -> None:
        """That is all."""
        self.sent = True

    @workflow.update
    def deliver_to(self, address: str) -> str:
        """Change the address; the customer gets a confirmation."""
        self.address = address
        return f"it will go to {address}"

    @workflow.query
    def content(self) -> str:
        """The order as it stands."""
        return f"{', '.join(self.items)} -> {self.address}"

    @workflow.run
    async def run(self, first: str) -> str:
        """The order's life."""
        self.waiting.insert(0, first)
        while self.waiting or not self.sent:
            if self.waiting:
                item = self.waiting.pop(0)
                await workflow.execute_activity(take, item, start_to_close_timeout=timedelta(seconds=10))
                self.items.append(item)
            await workflow.wait_condition(lambda: bool(self.waiting) or self.sent)
        return self.content()


class Side:
    """The customers and the Worker of one region."""

    def __init__(self, region: str, client: Client) -> None:
        self.region = region
        self.client = client
        self.worker = Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[OrderWorkflow],
            activities=[take],
            # The sandbox only slows this small example down.
            workflow_runner=UnsandboxedWorkflowRunner(),
        )

    async def start(self, order: str, first: str) -> None:
        handle = await self.client.start_workflow(OrderWorkflow.run, first, id=order, task_queue=TASK_QUEUE)
        await self.until(order, first)
        print(f"  {self.region}: started {order} with {first}, run {short(handle.first_execution_run_id)}")

    async def add(self, order: str, item: str) -> None:
        await self.client.get_workflow_handle(order).signal(OrderWorkflow.add, item)
        await self.until(order, item)
        print(f"  {self.region}: signal, add {item} to {order}: accepted")

    async def deliver_to(self, order: str, address: str) -> None:
        handle = self.client.get_workflow_handle(order)
        answer = await handle.execute_update(OrderWorkflow.deliver_to, address)
        print(f'  {self.region}: update, deliver {order} to {address}: answered "{answer}"')

    async def content(self, order: str) -> str:
        return await self.client.get_workflow_handle(order).query(OrderWorkflow.content)

    async def until(self, order: str, *words: str) -> None:
        """Wait until the workflow has dealt with all of that."""
        async with asyncio.timeout(30):
            while not set(words) <= set(re.findall(r"\w+", await self.content(order))):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def check(true: bool, claim: str) -> None:
    """Say it, if it is so."""
    if not true:
        raise AssertionError(f"not true: {claim}")
    print(f"  checked: {claim}")


def asked(event: HistoryEvent) -> str:
    """What a customer asked for with this event; empty for the server's and the Workers' own events."""
    if event.HasField("workflow_execution_signaled_event_attributes"):
        signal = event.workflow_execution_signaled_event_attributes
        return f"signal {signal.signal_name} {text(signal.input)}"
    if event.HasField("workflow_execution_update_accepted_event_attributes"):
        update = event.workflow_execution_update_accepted_event_attributes.accepted_request.input
        return f"update {update.name} {text(update.args)}" if update.name else ""
    if event.HasField("workflow_execution_update_admitted_event_attributes"):
        update = event.workflow_execution_update_admitted_event_attributes.request.input
        return f"update {update.name} {text(update.args)}"
    if event.HasField("workflow_execution_started_event_attributes"):
        return f"start with {text(event.workflow_execution_started_event_attributes.input)}"
    return ""


def text(arguments: Payloads) -> str:
    return ", ".join(str(json.loads(payload.data)) for payload in arguments.payloads)


def short(run_id: str | None) -> str:
    """The end of a run id, which is enough to tell runs apart."""
    return f"…{(run_id or '')[-6:]}"


def counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} ({count})" for kind, count in kinds.items())


def requests(events: Iterable[HistoryEvent]) -> list[str]:
    """All that customers asked for, in order."""
    return [request for event in events if (request := asked(event))]


def tell_fates(run: RunView, branch: int, report: FailoverReport) -> None:
    """What became of each request on a losing branch, and by which rule the rest of the branch is lost."""
    kinds = {(left.run_id, event.event_id): event.kind for left in report.runs for event in left.events}
    losing = run.branches[branch]
    rest: dict[tuple[str, str], Counter[str]] = {}
    for fate in losing.fates:
        if request := asked(losing.events[fate.event_id - 1]):
            where = "" if fate.run_id == run.run_id else " of the winning run"
            became = f"written again as event {fate.to_event_id}{where}" if fate.to_event_id else fate.reason
            print(f"    {fate.fate:<10} {request} (event {fate.event_id}): {became}")
        else:
            counter = rest.setdefault((fate.fate, fate.reason), Counter())
            counter[kinds[run.run_id, fate.event_id]] += 1
    for (outcome, reason), counter in rest.items():
        print(f"    {outcome:<10} {counted(counter)}: {reason}")


async def agreed(orders: Namespace, operation: Operation) -> FailoverReport:
    """Wait until the regions agree; what became of all that the failover had left."""
    async with asyncio.timeout(30):
        while True:
            await orders.replicated()
            report = await orders.report(operation)
            left = report.operation.unreplicated
            if left is not None and left.settled and not report.outcomes("waiting"):
                return report


async def runs_of(orders: Namespace, order: str) -> Sequence[RunView]:
    """The runs of an order; both regions must have the same, byte for byte."""
    history = await orders.history(order)

    def written(region: str, of: Callable[[RunView], Iterable[HistoryEvent]]) -> dict[str, list[bytes]]:
        return {run.run_id: [event.SerializeToString() for event in of(run)] for run in history[region]}

    same = written(OLD, lambda run: run.events) == written(NEW, lambda run: run.events)
    check(same, f"both regions hold the same history of {order}, event by event")
    return history[NEW]


async def tell_one_run(orders: Namespace, report: FailoverReport) -> None:
    """A run that both sides went on with: its history has forked."""
    print("\n  order-1, which both sides went on with: its history has forked into two branches.")
    (run,) = await runs_of(orders, "order-1")
    winner, loser = run.branches
    assert loser.forks_after is not None
    shared, _ = loser.forks_after
    wins, loses = (branch.events[shared].version for branch in (winner, loser))
    print(f"    shared     events 1 to {shared}")
    print(f"    loses      {len(loser.events) - shared} events of failover version {loses}, kept for reading")
    print(f"    wins       {len(winner.events) - shared} events of failover version {wins}")
    check(wins > loses, "the branch of the later failover has the higher version, and wins")
    tell_fates(run, 1, report)
    told, on_winner = requests(loser.events[shared:]), requests(winner.events)
    once = len(told) == 3 and all(on_winner.count(request) == 1 for request in told)
    check(once, f"all {len(told)} signals and updates of the losing side are on the winner, each once")


async def tell_two_runs(orders: Namespace, report: FailoverReport) -> None:
    """A workflow id that both sides started: one of the runs must go."""
    print("\n  order-2, which both sides started: two runs of one workflow id, and only one may stay.")
    runs = await runs_of(orders, "order-2")
    (winner,) = (run for run in runs if run.current)
    (loser,) = (run for run in runs if run.superseded)
    end = loser.events[-1].workflow_execution_terminated_event_attributes
    print(f"    wins       run {short(winner.run_id)}, {winner.status}: {requests(winner.events)[0]}")
    print(f"    loses      run {short(loser.run_id)}, {loser.status}: {requests(loser.events)[0]}")
    print(f'               ended by the server ({end.identity}): "{end.reason}"')
    tell_fates(loser, 0, report)
    start, *signals = requests(loser.events)
    on_winner = requests(winner.events)
    once = len(signals) == 1 and all(on_winner.count(request) == 1 for request in signals)
    check(once, "the signal of the losing run is on the winner, once")
    check(start not in on_winner, f'"{start}" is lost: the winner has a start of its own')


async def who_is_active(cloud: MockCloud) -> dict[str, str]:
    """Region -> the region that it takes to be the active one."""
    (orders,) = (await cloud.status()).namespaces
    for view in orders.regions:
        print(
            f"  {view.region} says: {view.active_region} is active, failover version {view.failover_version}"
        )
    return {view.region: view.active_region for view in orders.regions}


async def cut(cloud: MockCloud, orders: Namespace, old: Side) -> tuple[AppliedFault, Operation]:
    """Act 2: the fault of the link, and the failover."""
    print(f"\n2. The link between the regions is cut, and somebody forces a failover to {NEW}")
    link = cloud.link(OLD, NEW).partition()
    await old.add("order-1", "butter")
    operation = await orders.failover(NEW, forced=True)
    left = operation.unreplicated
    assert left is not None
    print(f"  failover to {operation.region}: {operation.state}, {operation.mode}")
    print(
        f"  {NEW} had not received {left.events} events of {left.workflows} workflow: {counted(left.kinds)}"
    )
    check(operation.mode == "forced" and left.kinds["signals"] == 1, "the signal is among them")
    return link, operation


async def both_go_on(cloud: MockCloud, old: Side, new: Side) -> dict[str, str]:
    """Act 3: what each region believes of order-1 in the end."""
    print(f"\n3. Split brain: {OLD} has not heard of the failover. Both regions serve their customers")
    check(await who_is_active(cloud) == {OLD: OLD, NEW: NEW}, "each region takes itself to be the active one")
    await old.add("order-1", "jam")
    await old.deliver_to("order-1", "the office")
    await old.start("order-2", "tea")
    await old.add("order-2", "milk")
    await new.add("order-1", "honey")
    await new.deliver_to("order-1", "home")
    await new.start("order-2", "coffee")
    await new.add("order-2", "sugar")
    beliefs = {side.region: await side.content("order-1") for side in (old, new)}
    for region, belief in beliefs.items():
        print(f"  {region} believes that order-1 is: {belief}")
    check(len(set(beliefs.values())) == len(beliefs), "the two regions do not agree")
    return beliefs


async def heal(
    cloud: MockCloud, orders: Namespace, link: AppliedFault, operation: Operation, new: Side
) -> None:
    """Act 4: what became of everything."""
    print("\n4. The link is healed, and the regions make one history of it")
    link.remove()
    report = await agreed(orders, operation)
    # The winner's Worker deals with what was written again.
    await new.until("order-1", "butter", "jam", "office")
    await new.until("order-2", "milk")
    await orders.replicated()
    check(set((await who_is_active(cloud)).values()) == {NEW}, "there is one active region again")
    print(f"  of the events that only {OLD} had:")
    for outcome in ("recovered", "reapplied", "lost"):
        kinds = Counter(event.kind for event in report.outcomes(outcome))
        print(f"    {outcome:<10} {counted(kinds) or 'none'}")
    print(
        "  (reapplied: asked again of the winner. Lost are above all the steps that Workers took to answer: workflow"
    )
    print(
        "  tasks, activities and their results. The winner's Worker takes its own steps for what is reapplied.)"
    )
    await tell_one_run(orders, report)
    await tell_two_runs(orders, report)


async def end(client: Client, beliefs: Mapping[str, str]) -> None:
    """Act 5: the orders are sent, and compared with what happened in the world."""
    print("\n5. How it ends: the customers send their orders, and never mind which region serves them")
    results = {}
    for order in ("order-1", "order-2"):
        handle = client.get_workflow_handle(order, result_type=str)
        await handle.signal(OrderWorkflow.send)
        results[order] = await handle.result()
        print(f"  {order}: {results[order]}")
    sent = Counter(re.findall(r"\w+", " ".join(results.values())))
    for item, times in taken.items():
        print(f"    {item:<8} taken from the shelf {times}x, sent {sent[item]}x")
    kept = taken.keys() - {"tea"}
    check(len(kept) == 7 and all(sent[item] == 1 for item in kept), "every item but one is sent, once")
    wasted = taken["tea"] == 1 and not sent["tea"]
    check(wasted, "only the losing start is lost: its tea was taken for nothing")
    twice = {item for item, times in taken.items() if times == 2}
    again = twice == {"butter", "jam", "milk"}
    check(again, "what the losing side did is done again: make activities idempotent")
    moved = beliefs[NEW].endswith("home") and results["order-1"].endswith("the office")
    check(moved, "the losing side's update ran again, after the winner's own: the last one counts")


async def story(cloud: MockCloud) -> None:
    """The five acts."""
    orders = await cloud.create_namespace("orders")
    old, new = Side(OLD, await orders.client(OLD)), Side(NEW, await orders.client(NEW))
    async with old.worker:
        print(f"1. All is well: {OLD} is active, and {NEW} has a copy of everything")
        check(await who_is_active(cloud) == {OLD: OLD, NEW: OLD}, "both regions agree on that")
        print("  (every failover raises the version; where two regions disagree, the higher version wins)")
        await old.start("order-1", "bread")
        await orders.replicated()
        await runs_of(orders, "order-1")
        link, operation = await cut(cloud, orders, old)
        # Not earlier: while its region is passive it polls the old one, and a task that is handed to such a poll when
        # the link is cut is given out again only after ten seconds.
        async with new.worker:
            beliefs = await both_go_on(cloud, old, new)
            await heal(cloud, orders, link, operation, new)
            await end(await orders.client(), beliefs)


async def main() -> None:
    """The story, on a cloud of its own."""
    async with MockCloud(regions=[OLD, NEW]) as cloud:
        await story(cloud)


if __name__ == "__main__":
    code = 0
    try:
        asyncio.run(main())
    except Exception:  # noqa: BLE001 whatever it is, the exit code says so
        traceback.print_exc()
        code = 1
    # The SDK's native threads may abort in the interpreter's shutdown; everything is said by now.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
