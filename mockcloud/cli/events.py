"""The timeline on the command line: a line for each event, words or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from mockcloud.api.admin.v1.cloud_admin_pb2 import ListEventsRequest, ListEventsResponse, TimelineEvent
from mockcloud.cli.client import Connection, NoCloud
from mockcloud.core import times

_WAIT_SECONDS: Final = 20.0


def show(connection: Connection, *, follow: bool) -> None:
    """Print what is remembered and, to follow, what happens until the cloud ends."""
    last, wait = "", 0.0
    while True:
        request = ListEventsRequest(after=last, seconds=wait)
        try:
            answer = connection.call("ListEvents", request, ListEventsResponse)
        except NoCloud:
            if last:
                return  # it has ended
            raise
        last = answer.last_id
        if answer.missed:
            click.echo(f"{answer.missed} events were forgotten before they could be shown", err=True)
        for event in answer.events:
            if connection.json_output:
                connection.print_json(values(event))
            else:
                click.echo(line(event))
        if answer.events:
            continue
        if not follow or answer.closed:
            return
        wait = _WAIT_SECONDS


def values(event: TimelineEvent) -> dict[str, Any]:
    """An event as the event stream has it."""
    moment = times.timestamp(event.time).ToJsonString()
    return {"id": event.id, "time": moment, "kind": event.kind, **json.loads(event.data)}


def line(event: TimelineEvent) -> str:
    """An event in words."""
    moment = times.timestamp(event.time // times.MILLISECOND * times.MILLISECOND).ToJsonString()
    data = json.loads(event.data)
    words = _WORDS[event.kind](data) if event.kind in _WORDS else json.dumps(data)
    return f"{moment}  {event.kind:<12}  {words}"


def _operation(data: Mapping[str, Any]) -> str:
    reason = f" ({data['reason']})" if data["reason"] else ""
    state = data["state"] if data["step"] == "ended" else data["step"]
    how = f"failover {data['after_id']}" if data["after_id"] else data["mode"]
    of = f"{data['namespace']} {data['region']}".rstrip()
    return f"{data['operation']} of {of}: {state} {how}".rstrip() + reason


def _namespace(data: Mapping[str, Any]) -> str:
    where = "deleted" if data["deleted"] else f"active in {data['active_region']}"
    where += ", in handover" if data["handover"] else ""
    return f"{data['namespace']}: {where}, version {data['failover_version']}"


def _fault(data: Mapping[str, Any]) -> str:
    arrow = "→" if data["one_way"] else "↔"
    return f"{data['action']} {data['name']}: {data['fault']} {data['source']} {arrow} {data['target']}"


def _audit(data: Mapping[str, Any]) -> str:
    error = data.get("raw_details", {}).get("error", {}).get("message", "")
    return f"{data['operation']} by {data['principal']['name']}: {data['status']} {error}".rstrip()


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "operation": _operation,
    "namespace": _namespace,
    "region": lambda data: f"{data['region']} {data['state']}",
    "control": lambda data: data["state"],
    "health": lambda data: f"{data['region']} {', '.join(data['conditions']) or 'healthy'}",
    "fault": _fault,
    "audit": _audit,
    "notification": lambda data: f"{data['subject']}: {data['delivery']} {data['problem']}".rstrip(),
}
