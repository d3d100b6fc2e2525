"""Warnings in the log for what comes near a limit: a large event, a long or large history, a large state.

Told after the commit, by the region that made it. What is over the limit itself is refused or ends the run
(`core.command_failure`, `core.history_limits`). A run is warned of once per limit, when it passes it; the real
server repeats itself, at a limited rate.

Real: common.CheckEventBlobSizeLimit, ContextImpl.maxHistorySizeExceeded, maxHistoryCountExceeded,
maxMutableStateSizeExceeded.
"""

from __future__ import annotations

import logging

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from mockcloud.core.limits import Limits
from mockcloud.core.run import Run, RunKey
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace

_log = logging.getLogger(__name__)


class SizeWarnings:
    """Looks at every commit. Must stay cheap where all is small."""

    def __init__(self, changes: Changes, limits: Limits) -> None:
        self._limits = limits
        self._large_states: set[RunKey] = set()  # open runs that were warned of
        changes.listeners.append(self._committed)

    def _committed(self, namespace: Namespace, committed: Committed) -> None:
        if not committed.made_here:
            return
        self._look_at_state(namespace, committed)
        if committed.batches:
            self._look_at_history(namespace, committed)

    def _look_at_state(self, namespace: Namespace, committed: Committed) -> None:
        run, size, limit = committed.run, committed.record_size, self._limits.state_bytes_warning
        if not run.open:
            self._large_states.discard(run.key)
        elif size > limit and run.key not in self._large_states:
            self._large_states.add(run.key)
            _log.warning("mutable state size exceeds warn limit. %s", _about(namespace, run, size, limit))

    def _look_at_history(self, namespace: Namespace, committed: Committed) -> None:
        limits, run = self._limits, committed.run
        size, count = run.record.history_size, run.next_event_id - 1
        if size > limits.history_bytes_warning:
            added = sum(len(batch.data) for batch in committed.batches)
            _look_at("size", size, added, limits.history_bytes_warning, namespace, run)
        if count > limits.history_events_warning:
            added = count + 1 - committed.batches[0].first_event_id
            _look_at("count", count, added, limits.history_events_warning, namespace, run)
        for batch in committed.batches:
            if len(batch.data) > limits.blob_bytes_warning:
                self._look_at_events(namespace, run, batch.data)

    def _look_at_events(self, namespace: Namespace, run: Run, data: bytes) -> None:
        limit = self._limits.blob_bytes_warning
        for event in History.FromString(data).events:
            size = event.ByteSize()
            if size > limit:
                about = _about(namespace, run, size, limit)
                _log.warning(
                    "Blob data size exceeds the warning limit. %s event=%s",
                    about,
                    EventType.Name(event.event_type),
                )


def _look_at(what: str, value: int, added: int, limit: int, namespace: Namespace, run: Run) -> None:
    if value - added <= limit:
        _log.warning("history %s exceeds warn limit. %s", what, _about(namespace, run, value, limit))


def _about(namespace: Namespace, run: Run, value: int, limit: int) -> str:
    key = run.key
    return (
        f"namespace={namespace.name} workflow={key.workflow_id} run={key.run_id} value={value} limit={limit}"
    )
