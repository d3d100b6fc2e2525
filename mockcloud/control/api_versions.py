"""Which fields a version of the Cloud Ops API has: those that are old or new are filled for callers of their time only.

A caller says its version in the header `temporal-cloud-api-version`; without one, or with one that is none, old and new
fields are filled. Real: the `temporal:versioning` comments in the protos of temporalio/cloud-api.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from google.protobuf.message import Message
from temporalio.api.cloud.identity.v1 import (
    AccountAccess,
    ApiKey,
    ApiKeySpec,
    NamespaceAccess,
    ServiceAccount,
    User,
)
from temporalio.api.cloud.namespace.v1 import (
    CodecServerSpec,
    HighAvailabilitySpec,
    MtlsAuthSpec,
    Namespace,
    NamespaceRegionStatus,
    NamespaceSpec,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.region.v1 import Region

HEADER: Final = "temporal-cloud-api-version"

_VERSION: Final = re.compile(r"v(\d{1,6})\.(\d{1,6})\.(\d{1,6})\Z")


class Version(NamedTuple):
    """v0.15.0 is (0, 15, 0)."""

    major: int
    minor: int
    patch: int


class _Life(NamedTuple):
    """The versions that have a field, both ends included."""

    first: Version | None = None
    last: Version | None = None


def _since(minor: int, patch: int = 0) -> _Life:
    return _Life(first=Version(0, minor, patch))


def _until(minor: int) -> _Life:
    return _Life(last=Version(0, minor, 0))


def _enumerated(field: str) -> dict[str, _Life]:
    """What was a word until v0.3.0, and is an enum since."""
    return {f"{field}_deprecated": _until(3), field: _since(3)}


_ENUMERATED: Final[Mapping[type[Message], str]] = {
    NamespaceRegionStatus: "state",
    AsyncOperation: "state",
    Region: "cloud_provider",
    User: "state",
    ServiceAccount: "state",
    ApiKey: "state",
    ApiKeySpec: "owner_type",
    AccountAccess: "role",
    NamespaceAccess: "permission",
}

_LIVES: Final[Mapping[str, Mapping[str, _Life]]] = {
    kind.DESCRIPTOR.full_name: _enumerated(field) for kind, field in _ENUMERATED.items()
} | {
    kind.DESCRIPTOR.full_name: lives
    for kind, lives in (
        (
            MtlsAuthSpec,
            {
                "accepted_client_ca_deprecated": _until(2),
                "accepted_client_ca": _since(2),
                "enabled": _since(2),
            },
        ),
        (CodecServerSpec, {"custom_error_message": _since(5, 1)}),
        (HighAvailabilitySpec, {"disable_passive_poller_forwarding": _since(13)}),
        (
            NamespaceSpec,
            {
                "regions": _until(15),
                "api_key_auth": _since(2),
                "custom_search_attributes": _until(3),
                "search_attributes": _since(3),
                "lifecycle": _since(4),
                "high_availability": _since(4),
                "connectivity_rule_ids": _since(6),
                "capacity_spec": _since(10),
                "replicas": _since(13),
                "fairness": _since(14),
            },
        ),
        (
            Namespace,
            {
                **_enumerated("state"),
                "region_status": _until(15),
                "replicas": _since(13),
            },
        ),
    )
}


def version_of(metadata: Mapping[str, str]) -> Version | None:
    """The version that a caller speaks; None: it does not say."""
    found = _VERSION.match(metadata.get(HEADER, ""))
    return Version(*map(int, found.groups())) if found else None


def knows(version: Version | None, kind: type[Message], field: str) -> bool:
    """Whether a caller of that version can say or read a field."""
    if version is None:
        return True
    life = _LIVES.get(kind.DESCRIPTOR.full_name, {}).get(field, _Life())
    return (life.first is None or version >= life.first) and (life.last is None or version <= life.last)


def show(message: Message, version: Version | None) -> None:
    """Clear what the caller's version does not have, in place, at every depth."""
    if version is None:
        return
    for field, value in message.ListFields():
        if not knows(version, type(message), field.name):
            message.ClearField(field.name)
        elif field.message_type is None:
            continue
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for each in value.values():
                    show(each, version)
        elif field.is_repeated:
            for each in value:
                show(each, version)
        else:
            show(value, version)
