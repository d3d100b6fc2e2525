"""Replication tasks that no healthy peer sends, for a region that has everything: none of them may be applied."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from temporalio.api.history.v1 import History

from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.api.state.v1.state_pb2 import VersionHistoryItem
from tests.simulation.witness import Applied

_MANGLED = 6  # tasks a region is given


def mangled(rng: random.Random, applied: Iterable[Applied]) -> Iterator[tuple[str, Applied]]:
    """Some of the histories among what was applied, each spoilt in one way; with the name of that."""
    told = [
        (namespace_id, source, workflow_id, task)
        for namespace_id, source, workflow_id, tasks in applied
        for task in tasks
        if task.WhichOneof("task") == "history"
    ]
    for namespace_id, source, workflow_id, original in rng.sample(told, min(_MANGLED, len(told))):
        how = rng.choice(list(_WAYS))
        task = ReplicationTask()
        task.CopyFrom(original)
        task.history.ClearField("new_run")
        task.history.ClearField("base")
        task.position = 1_000_000_000 + rng.randrange(1_000_000)
        _WAYS[how](rng, task)
        yield how, (namespace_id, source, workflow_id, [task])


def _truncate(rng: random.Random, task: ReplicationTask) -> None:
    """The last event is cut off in its middle."""
    task.history.events = task.history.events[: -rng.randint(1, 3)]


def _contradict(rng: random.Random, task: ReplicationTask) -> None:
    """The events have a version that the version history does not have."""
    events = History.FromString(task.history.events)
    for event in events.events:
        event.version += 1
    task.history.events = events.SerializeToString()


def _fall(rng: random.Random, task: ReplicationTask) -> None:
    """Versions of the version history fall."""
    last = task.history.items[-1]
    task.history.items.append(VersionHistoryItem(event_id=last.event_id + 1, version=last.version - 1))


def _fork(rng: random.Random, task: ReplicationTask) -> None:
    """Another history of the same version, after events that nobody has."""
    events = History.FromString(task.history.events)
    for event in events.events:
        event.event_id += 10_000
    task.history.events = events.SerializeToString()
    task.history.items[-1].event_id += 10_000


def _unknown_start(rng: random.Random, task: ReplicationTask) -> None:
    """A run that its source does not have, in its middle."""
    task.history.run_id = "00000000-0000-4000-8000-000000000000"
    _fork(rng, task)


def _unknown_kind(rng: random.Random, task: ReplicationTask) -> None:
    """Of a newer protocol: field 99 is not known here."""
    newer = ReplicationTask(position=task.position).SerializeToString() + b"\x9a\x06\x01x"
    task.CopyFrom(ReplicationTask.FromString(newer))


_WAYS: Final[dict[str, Callable[[random.Random, ReplicationTask], None]]] = {
    "truncated": _truncate,
    "contradicting": _contradict,
    "falling": _fall,
    "forked": _fork,
    "of nobody": _unknown_start,
    "newer": _unknown_kind,
}
