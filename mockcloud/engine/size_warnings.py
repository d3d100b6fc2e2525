"""Warnings in the log for what comes near a limit: a large event, a long or large history.

Told after the commit, by the region that made it. What is over the limit itself is refused or ends the run
(`core.command_failure`, `core.history_limits`). A run is warned of once per limit, when it passes it; the real
server repeats itself, at a limited rate.

Real: common.CheckEventBlobSizeLimit, ContextImpl.maxHistorySizeExceeded, maxHistoryCountExceeded.
"""

from __future__ import annotations

import logging

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from mockcloud.core.limits import Limits
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace

_log = logging.getLogger(__name__)


class SizeWarnings:
    """Looks at every commit. Must stay cheap where all is small."""

    def __init__(self, changes: Changes, limits: Limits) -> None:
        self._limits = limits
        changes.listeners.append(self._committed)

    def _committed(self, namespace: Namespace, committed: Committed) -> None:
        if not committed.made_here or not committed.batches:
            return
        limits = self._limits
        run = committed.run
        added_bytes = sum(len(batch.data) for batch in committed.batches)
        added_events = sum(batch.last_event_id - batch.first_event_id + 1 for batch in committed.batches)
        for what, value, added, limit in (
            ("size", run.record.history_size, added_bytes, limits.history_bytes_warning),
            ("count", run.next_event_id - 1, added_events, limits.history_events_warning),
        ):
            if value - added <= limit < value:
                _log.warning(
                    "history %s exceeds warn limit. namespace=%s workflow=%s run=%s value=%d limit=%d",
                    what,
                    namespace.name,
                    run.key.workflow_id,
                    run.key.run_id,
                    value,
                    limit,
                )
        for batch in committed.batches:
            if len(batch.data) > limits.blob_bytes_warning:
                self._warn_of_events(namespace, committed, batch.data)

    def _warn_of_events(self, namespace: Namespace, committed: Committed, data: bytes) -> None:
        for event in History.FromString(data).events:
            size = event.ByteSize()
            if size > self._limits.blob_bytes_warning:
                _log.warning(
                    "Blob data size exceeds the warning limit. namespace=%s workflow=%s run=%s size=%d event=%s",
                    namespace.name,
                    committed.run.key.workflow_id,
                    committed.run.key.run_id,
                    size,
                    EventType.Name(event.event_type),
                )
