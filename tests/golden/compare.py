"""What of a recording is compared, and how: see README.md, "Compare"."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict

from mockcloud.cloud.views import RunView
from tests.golden.recording import Json

# Ids and times that differ each time, sizes, and what belongs to a build or an SDK.
_IGNORED = frozenset(
    {
        "eventTime",
        "taskId",
        "requestId",
        "createRequestId",
        "attachedRequestId",
        "historySizeBytes",
        "workflowExecutionExpirationTime",
        "firstWorkflowTaskBackoff",
        "workflowRunTimeout",
        "workflowExecutionTimeout",
        "workerVersion",
        "sdkMetadata",
        "meteringMetadata",
        "prevAutoResetPoints",
        "searchAttributes",
        "memo",
        "header",
        "links",
    }
)


def event(raw: Json, labels: Mapping[str, str]) -> Json:
    """An event as compared; `labels` gives run ids a name that both sides share."""
    return {key: _clean(value, labels) for key, value in raw.items() if key not in _IGNORED}


def _clean(value: Any, labels: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _clean(each, labels) for key, each in value.items() if key not in _IGNORED}
    if isinstance(value, list):
        return [_clean(each, labels) for each in value]
    if isinstance(value, str):
        return labels.get(value, value)
    return value


def recorded_runs(runs: Json, labels: Mapping[str, str]) -> Json:
    """Runs of a workflow id in one cluster of a recording, by label."""
    return {
        labels.get(run_id, run_id): {
            "current": run["current"],
            "status": run.get("status", "WORKFLOW_EXECUTION_STATUS_RUNNING").removeprefix(
                "WORKFLOW_EXECUTION_STATUS_"
            ),
            "zombie": run["state"] == "WORKFLOW_EXECUTION_STATE_ZOMBIE",
            "items": next(each["items"] for each in run["versionHistories"] if each["current"]),
            "history": [event(each, labels) for each in run["history"]["events"]],
            "losers": _sorted(
                {
                    "items": branch["items"],
                    "history": [
                        event(each, labels) for batch in branch["batches"] for each in batch["events"]
                    ],
                }
                for branch in run["branches"]
            ),
        }
        for run_id, run in runs.items()
        if "state" in run  # else it was looked for and not there
    }


def our_runs(runs: Sequence[RunView], labels: Mapping[str, str]) -> Json:
    """The same of ours."""
    return {
        labels.get(run.run_id, run.run_id): {
            "current": run.current,
            "status": run.status,
            "zombie": run.zombie,
            "items": [list(item) for item in run.branches[0].items],
            "history": [event(MessageToDict(each), labels) for each in run.events],
            "losers": _sorted(
                {
                    "items": [list(item) for item in branch.items],
                    "history": [event(MessageToDict(each), labels) for each in branch.events],
                }
                for branch in run.branches[1:]
            ),
            **({"parked": run.parked} if run.parked else {}),
        }
        for run in runs
    }


def _sorted(branches: Any) -> list[Json]:
    return sorted(branches, key=lambda branch: json.dumps(branch["items"]))


def difference(recorded: Any, ours: Any, path: str = "") -> str:
    """The first place where the two differ; empty: none."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key in sorted({*recorded, *ours}):
            if key not in ours:
                return f"{path}.{key}: recorded {_short(recorded[key])}, ours has none"
            if key not in recorded:
                return f"{path}.{key}: not recorded, ours {_short(ours[key])}"
            found = difference(recorded[key], ours[key], f"{path}.{key}")
            if found:
                return found
        return ""
    if isinstance(recorded, list) and isinstance(ours, list):
        for index, (one, other) in enumerate(zip(recorded, ours, strict=False)):
            found = difference(one, other, f"{path}[{index}]")
            if found:
                return found
        if len(recorded) != len(ours):
            longer, whose = (recorded, "recorded") if len(recorded) > len(ours) else (ours, "ours")
            extra = longer[min(len(recorded), len(ours))]
            return f"{path}: {len(recorded)} recorded, ours {len(ours)}; {whose} goes on with {_short(extra)}"
        return ""
    return "" if recorded == ours else f"{path}: recorded {_short(recorded)}, ours {_short(ours)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}…"
