"""What can be chosen of a region's frontend. The words are those of the cloud's settings."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class HandoverPolicy(StrEnum):
    """What a call meets that may not be answered while its namespace is in HANDOVER."""

    HOLD = "hold"  # wait for the switch, as the real server does
    REJECT = "reject"  # UNAVAILABLE at once, as the Cloud's documentation words it


class RedirectionPolicy(StrEnum):
    """Which calls the passive region forwards. Real: dcRedirectionPolicy."""

    ALL = "all"
    SELECTED = "selected"  # only those that start or change workflows, and queries


class PassivePolls(StrEnum):
    """What the passive region does with polls."""

    FORWARD = "forward"
    HOLD = "hold"  # they wait here, get queries, and are served the instant the region turns active
    ERROR = "error"  # NamespaceNotActive at once


class FrontendSettings(NamedTuple):
    """One frontend's choices. Limits and durations are the region's `Limits`."""

    handover: HandoverPolicy = HandoverPolicy.HOLD
    redirection: RedirectionPolicy = RedirectionPolicy.ALL
    passive_polls: PassivePolls = PassivePolls.FORWARD
    # Where they are forwarded: of namespaces with disable_passive_poller_forwarding.
    unforwarded_polls: PassivePolls = PassivePolls.HOLD
