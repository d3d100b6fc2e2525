"""The one part of the coverage page that is written by hand: what is missing in a thing that is served.

Keys are the names of RPCs, commands, event types and dynamic-config keys as the page shows them; a note says
what is missing, in a few words. Whoever builds the missing part takes the note away in the same change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SPEC: Final = (
    "what the spec says of certificates, API keys, codec server, capacity and fairness is kept and has no effect; "
    "there are no connectivity rules"
)

CLOUD_RPCS: Final[Mapping[str, str]] = {
    "CreateNamespace": _SPEC,
    "UpdateNamespace": _SPEC,
    "RenameCustomSearchAttribute": "histories show the name that was written",
}
RPCS: Final[Mapping[str, str]] = {
    "PollNexusTaskQueue": "held and ended as the real server does; no task ever comes",
    "UpdateWorkflowExecutionOptions": "no versions that a run is pinned to, no time skipping",
    "FetchWorkerConfig": "UNIMPLEMENTED, as the real server answers",
    "UpdateWorkerConfig": "UNIMPLEMENTED, as the real server answers",
    "SignalWithStartWorkflowExecution": "no override that pins to a version, no time skipping",
    "StartWorkflowExecution": (
        "no override that pins to a version, no time skipping, no completion callbacks of the server's own"
    ),
}
COMMANDS: Final[Mapping[str, str]] = {}
EVENTS: Final[Mapping[str, str]] = {}
LIMITS: Final[Mapping[str, str]] = {
    "state_bytes": "the state is measured as it is stored here",
}
