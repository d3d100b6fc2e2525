"""What must hold of a simulated cloud once all faults are gone and all work is done."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent

from mockcloud.api.state.v1.state_pb2 import RunRecord
from mockcloud.core.derive import derive
from mockcloud.core.run import RunKey
from mockcloud.core.version_history import values
from mockcloud.engine.cache import RunCache
from mockcloud.engine.loader import Loader
from mockcloud.store import dead_letters, history, parked, runs
from tests.simulation import bad_input, survival
from tests.simulation.world import Life, World

# (items, events as bytes) of a branch
Branch = tuple[tuple[tuple[int, int], ...], tuple[bytes, ...]]


_BAD_INPUT = 0.25  # of the schedules end with tasks that make no sense

# Of a workflow id, in one region, by run id: see `_picture`.
Picture = dict[str, dict[str, Any]]


class Broken(AssertionError):
    """An invariant does not hold; the text names it first."""


async def workflow_ids(world: World) -> list[str]:
    """Every workflow id that some region knows."""
    found: set[str] = set()
    for life in world.lives.values():
        for namespace in life.namespaces():
            found.update(
                await life.store.read(
                    lambda c, namespace_id=namespace.id: [  # type: ignore[misc]
                        row[0]
                        for row in c.execute(
                            "SELECT DISTINCT workflow_id FROM runs WHERE namespace_id = ?", (namespace_id,)
                        )
                    ]
                )
            )
    return sorted(found)


async def check(world: World) -> None:
    """Raises Broken."""
    for name, life in world.lives.items():
        await _nothing_waits(name, life)
    present: set[tuple[str, str]] = set()
    for workflow_id in await workflow_ids(world):
        pictures = {name: await _picture(life, workflow_id) for name, life in world.lives.items()}
        for name, picture in pictures.items():
            _one_current_run(f"{name}, {workflow_id}", picture, deleted=workflow_id in world.clients.deleted)
            for run_id, run in picture.items():
                _highest_wins(f"{name}, {workflow_id}/{run_id}", run)
                present |= {(workflow_id, signal) for signal in run["signals"]}
        if workflow_id not in world.clients.deleted:
            _survived(world, workflow_id, pictures)
        first, *others = pictures.items()
        for other in others:
            _converged(workflow_id, first, other, deleted=workflow_id in world.clients.deleted)
        for name, life in world.lives.items():
            await _rebuildable(name, life, workflow_id)
    lost = {
        (workflow_id, signal)
        for workflow_id, signal in world.clients.acknowledged - present
        if workflow_id not in world.clients.deleted
    }
    if lost:
        raise Broken(f"NoBranchLost: acknowledged signals that no branch has: {sorted(lost)}")
    await _idempotent(world)
    if world.rng.random() < _BAD_INPUT:
        await _unharmed(world)


async def _idempotent(world: World) -> None:
    """Everything that was ever applied, applied once more in its order, changes nothing."""
    for name, life in world.lives.items():
        before = await life.store.read(_content)
        await _apply_all(world, name)
        after = await life.store.read(_content)
        for table, rows in before.items():
            if after[table] != rows:
                changed = sorted(set(after[table]) ^ set(rows), key=repr)
                raise Broken(f"IdempotentApply: {table} of {name} changed: {changed[:2]}")


async def _apply_all(world: World, name: str) -> None:
    for namespace_id, source, workflow_id, tasks in tuple(world.witness.applied.get(name, ())):
        if workflow_id not in world.clients.deleted:  # what is gone would come back until its deletion
            await world.lives[name].replication._apply.apply_tasks(namespace_id, source, workflow_id, tasks)


async def _unharmed(world: World) -> None:
    """Tasks that make no sense change no run, and end somewhere with a reason."""
    for name, life in world.lives.items():
        applied = [one for one in world.witness.applied.get(name, ()) if one[2] not in world.clients.deleted]
        before = await life.store.read(_content)
        for how, task in bad_input.mangled(world.rng, applied):
            await life.replication._apply.apply_tasks(*task)
            after = await life.store.read(_content)
            for table in ("runs", "current_runs", "branches", "nodes"):
                if after[table] != before[table]:
                    raise Broken(f"BadInput: a task that is {how} changed {table} of {name}: {task}")
            known = len(before["dead_letters"]) + len(before["parked"])
            if how != "of nobody" and len(after["dead_letters"]) + len(after["parked"]) <= known:
                raise Broken(f"BadInput: a task that is {how} ended nowhere in {name}: {task}")
            before = after


def _content(connection):  # type: ignore[no-untyped-def]
    return {
        table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
        for table in ("runs", "current_runs", "branches", "nodes", "dead_letters", "parked")
    }


def _survived(world: World, workflow_id: str, pictures: dict[str, Picture]) -> None:
    name, picture = next(iter(pictures.items()))
    versions = sorted(world.witness.versions[world.lives[name].namespace(workflow_id).id])
    if "+" in workflow_id and len(versions) == 1 and len(picture) > 1:
        raise Broken(f"OneRunPerSlot: {workflow_id}, of a schedule, has the runs {sorted(picture)}")
    for problem in survival.lost(
        {run_id: run["histories"] for run_id, run in picture.items()},
        {signal for workflow, signal in world.clients.acknowledged if workflow == workflow_id},
        {update for workflow, update in world.clients.updated if workflow == workflow_id},
        world.clusters,
        versions,
        world.witness.met,
    ):
        raise Broken(f"SignalsSurvive: {workflow_id} in {name}: {problem}; versions {versions}")


async def _nothing_waits(name: str, life: Life) -> None:
    for namespace in life.namespaces():

        def read(connection, namespace_id=namespace.id):  # type: ignore[no-untyped-def]
            return (
                [task.reason for task in parked.list_parked(connection, namespace_id)],
                [letter.reason for letter in dead_letters.list_dead_letters(connection, namespace_id)],
            )

        waiting, dead = await life.store.read(read)
        if waiting or dead:
            raise Broken(f"Applied: {name} has parked {waiting}, dead letters {dead}")


async def _picture(life: Life, workflow_id: str) -> Picture:
    """Per run id: status, whether it is current, its branches with the current one first, signals of all of them."""

    def read(connection):  # type: ignore[no-untyped-def]
        namespace_id = life.namespace(workflow_id).id
        current = runs.load_current(connection, namespace_id, workflow_id)
        found = {}
        for row in runs.runs_of(connection, namespace_id, workflow_id):
            record = RunRecord.FromString(row.record)
            versions = record.version_histories
            branches = []
            signals: set[str] = set()
            histories: list[list[HistoryEvent]] = []
            for branch in versions.histories:
                events = [
                    event
                    for batch in history.read_branch(connection, branch.branch_id)
                    for event in History.FromString(batch.data).events
                ]
                _contiguous(f"{workflow_id}/{row.run_id}", events)
                _timers(f"{workflow_id}/{row.run_id}", events)
                _signaled_once(f"{workflow_id}/{row.run_id}", events)
                signals |= set(filter(None, map(survival.signal_name, events)))
                histories.append(events)
                items = tuple((item.event_id, item.version) for item in values(branch.items))
                branches.append(
                    (items, tuple(event.SerializeToString(deterministic=True) for event in events))
                )
            branches.insert(0, branches.pop(versions.current_index))
            histories.insert(0, histories.pop(versions.current_index))
            found[row.run_id] = {
                "status": row.status,
                "zombie": row.zombie,
                "current": current is not None and current.run_id == row.run_id,
                "branches": branches,
                "signals": signals,
                "histories": histories,
            }
        return found

    return await life.store.read(read)


def _contiguous(where: str, events: list[HistoryEvent]) -> None:
    if [event.event_id for event in events] != list(range(1, len(events) + 1)):
        raise Broken(f"Contiguous: {where} has events {[event.event_id for event in events]}")
    versions = [event.version for event in events]
    if versions != sorted(versions):
        raise Broken(f"Contiguous: versions fall in {where}: {versions}")


def _highest_wins(where: str, run: dict[str, Any]) -> None:
    last = [items[-1][1] for items, _ in run["branches"]]
    if last[0] != max(last):
        raise Broken(f"HighestWins: {where}: versions of its branches {last}, the current one first")


def _timers(where: str, events: list[HistoryEvent]) -> None:
    """No timer fires before its time."""
    due: dict[int, int] = {}
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
            wait = event.timer_started_event_attributes.start_to_fire_timeout
            due[event.event_id] = event.event_time.ToNanoseconds() + wait.ToNanoseconds()
        elif event.event_type == EventType.EVENT_TYPE_TIMER_FIRED:
            started = event.timer_fired_event_attributes.started_event_id
            if event.event_time.ToNanoseconds() < due[started]:
                raise Broken(f"TimersNotEarly: {where}, event {event.event_id}")


def _signaled_once(where: str, events: list[HistoryEvent]) -> None:
    twice = survival.twice(events)
    if twice:
        raise Broken(f"SignaledOnce: a branch of {where} has signals of the same request ids: {twice}")


def _one_current_run(where: str, picture: Picture, *, deleted: bool) -> None:
    current = [run_id for run_id, run in picture.items() if run["current"]]
    opened = [run_id for run_id, run in picture.items() if run["status"] in (1, 8) and not run["zombie"]]
    if deleted and not current and not opened:
        return  # it was the current one that was deleted
    if len(current) != 1 or len(opened) > 1 or (opened and opened != current):
        raise Broken(f"OneCurrentRun: {where}: current {current}, open {opened}")
    zombies = [run_id for run_id, run in picture.items() if run["status"] in (1, 8) and run["zombie"]]
    if zombies:
        raise Broken(f"OneCurrentRun: {where}: zombies that nobody has closed: {zombies}")


def _converged(
    workflow_id: str, one: tuple[str, Picture], other: tuple[str, Picture], *, deleted: bool
) -> None:
    """The same everywhere.

    After a deletion, which run is current may differ (one of them, or none), and a run that comes back from the
    other region does so without the branches that it lost there.
    """
    where = f"Converged: {workflow_id} in {one[0]} and {other[0]}"
    if one[1].keys() != other[1].keys():
        raise Broken(f"{where}: runs {sorted(one[1])} and {sorted(other[1])}")
    for run_id, run in one[1].items():
        there = other[1][run_id]
        current = deleted or run["current"] == there["current"]
        if run["status"] != there["status"] or not current:
            raise Broken(
                f"{where}: {run_id} is {run['status']}, {run['current']}; {there['status']}, {there['current']}"
            )
        if run["branches"][0] != there["branches"][0]:
            raise Broken(
                f"{where}: current branches of {run_id}: {run['branches'][0][0]}, {there['branches'][0][0]}"
            )
        if not deleted and sorted(run["branches"]) != sorted(there["branches"]):
            here = [branch[0] for branch in run["branches"]]
            raise Broken(
                f"{where}: branches of {run_id}: {here}, {[branch[0] for branch in there['branches']]}"
            )


async def _rebuildable(name: str, life: Life, workflow_id: str) -> None:
    """What is in memory is what folding again gives."""
    namespace_id = life.namespace(workflow_id).id
    rows = await life.store.read(lambda c: runs.runs_of(c, namespace_id, workflow_id))
    for row in rows:
        key = RunKey(namespace_id, workflow_id, row.run_id)
        cached = life.region.runs.get(key)
        again = await Loader(life.store, RunCache()).entry(key)
        assert again is not None
        if cached is None:
            continue
        if cached.run.dump() != again.run.dump() or derive(cached.run) != derive(again.run):
            raise Broken(f"Rebuildable: {name}, {workflow_id}/{row.run_id}: {cached.run} is not {again.run}")
