"""GetLastMinute: the calls that clients made of a region, how its polls ended, and the runs that it closed."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.core.last_minute import Tally
from mockcloud.engine.tallies import Tallies
from mockcloud.frontend.calls import CallMeter


class LastMinuteReport:
    """Of one life of a region."""

    def __init__(self, tallies: Tallies, calls: CallMeter) -> None:
        self._tallies: Final = tallies
        self._calls: Final = calls

    async def get(self, _request: admin.GetLastMinuteRequest) -> Message:
        """What was counted."""
        answer = admin.GetLastMinuteResponse()
        for (namespace, operation), tally in self._calls.operations().items():
            answer.calls.add(
                namespace=namespace,
                operation=operation,
                count=tally.count,
                errors=tally.failed,
                latency=_latency(tally),
            )
        self._add_polls(answer)
        self._add_closes(answer)
        return answer

    def _add_polls(self, answer: admin.GetLastMinuteResponse) -> None:
        rows: dict[tuple[str, str, str], admin.RecentPolls] = {}
        for (namespace, task_queue, kind, outcome), tally in self._tallies.polls().items():
            labels = namespace, task_queue, kind.name.lower()
            if labels not in rows:
                rows[labels] = answer.polls.add(namespace=labels[0], task_queue=labels[1], kind=labels[2])
            setattr(rows[labels], outcome, tally.count)

    def _add_closes(self, answer: admin.GetLastMinuteResponse) -> None:
        counts: dict[tuple[str, str, str], admin.RecentCloses] = {}
        times: dict[tuple[str, str], Tally] = {}
        for key, tally in self._tallies.closes().items():
            labels = key.namespace, key.task_queue, key.workflow_type
            if labels not in counts:
                counts[labels] = answer.closes.add(
                    namespace=labels[0], task_queue=labels[1], workflow_type=labels[2]
                )
            counts[labels].counts[key.status] = tally.count
            times.setdefault((key.namespace, key.workflow_type), Tally()).add(tally)
        for (namespace, workflow_type), tally in times.items():
            answer.run_times.add(namespace=namespace, workflow_type=workflow_type, latency=_latency(tally))


def _latency(tally: Tally) -> admin.Latency:
    return admin.Latency(p50=tally.percentile(50), p95=tally.percentile(95), p99=tally.percentile(99))
