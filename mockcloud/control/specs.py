"""What a namespace may be: the checks of NamespaceSpec, and what a request makes of the spec that is there.

A spec is canonical when it holds each thing once and in its newest field, with the messages that the API always shows
in it. Half of it is the regions' business (where the namespace is, retention, search attributes, where passive polls
go), and is told from their record; the other half is stored and shown here, and nobody else asks for it.

Rules: the comments of temporalio/cloud-api, the Cloud's documentation of namespaces and their limits.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from temporalio.api.cloud.namespace.v1 import MtlsAuthSpec, NamespaceSpec, ReplicaSpec

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control import client_certificates
from mockcloud.control.api_versions import Version, knows
from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument

MOST_REPLICAS: Final = 2  # more only in a cloud that was started with more regions
LONGEST_RETENTION: Final = 90  # days

_NAME: Final = re.compile(r"[a-z](?:[a-z0-9]|-(?=[a-z0-9]))*\Z")
_NAME_LENGTH: Final = range(2, 40)
_HOST_AND_PATH: Final = re.compile(r"https://[^\s/]+(?:/\S*)?\Z")
_SEARCH_ATTRIBUTE: Final = re.compile(r"[A-Za-z0-9.,:_\\/@ -]{1,64}\Z")
_CELL: Final = re.compile(r"#\d+\Z")

_TYPES: Final = NamespaceSpec.SearchAttributeType
_TYPE_NAMES: Final[Mapping[str, int]] = {
    name.removeprefix("SEARCH_ATTRIBUTE_TYPE_").lower(): number for name, number in _TYPES.items() if number
}
# The API shows these whether they were ever set or not.
_ALWAYS_SHOWN: Final = ("mtls_auth", "api_key_auth", "codec_server", "lifecycle", "high_availability")
# Once set, these stay when a request leaves them out.
_KEPT: Final = ("capacity_spec", "fairness")
# Told from the regions' record.
_OF_RECORD: Final = ("name", "regions", "replicas", "retention_days", "search_attributes")


def same_region(regions: Sequence[str]) -> bool:
    """Whether all of several replicas are cells of one region: `aws-us-east-1` and `aws-us-east-1#2`."""
    return len(regions) > 1 and len({_CELL.sub("", region) for region in regions}) == 1


def cells(wanted: Sequence[str], regions: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """The cells of a cloud of these regions that replicas come to: a region that is taken means another cell of it.

    The Cloud asks for same-region replication by naming a region twice. Where there is no cell left, it stays as it is.
    """
    found: list[str] = []
    for region in wanted:
        free = (each for each in regions if _CELL.sub("", each) == region and each not in {*taken, *found})
        found.append(next(free, region) if region in {*taken, *found} else region)
    return found


def check_name(name: str) -> None:
    """Raises InvalidArgument for what the Cloud does not take as a namespace's name."""
    if len(name) not in _NAME_LENGTH or not _NAME.match(name):
        raise InvalidArgument(
            f"invalid namespace name {name!r}: it has {_NAME_LENGTH.start} to {_NAME_LENGTH.stop - 1} lower-case "
            "letters, digits and single hyphens, begins with a letter and does not end with a hyphen"
        )


def check_replicas(wanted: Sequence[str], regions: Sequence[str]) -> None:
    """Raises InvalidArgument for replicas that a namespace cannot have in a cloud of these regions."""
    if not wanted:
        raise InvalidArgument("at least one region must be specified")
    for region in wanted:
        if region not in regions:
            raise InvalidArgument(f"region {region!r} does not exist; there are: {', '.join(regions)}")
    if len(set(wanted)) != len(wanted):
        raise InvalidArgument(f"a region is named twice: {', '.join(wanted)}")
    most = max(MOST_REPLICAS, len(regions))
    if len(wanted) > most:
        raise InvalidArgument(f"a namespace has at most {most} replicas, not {len(wanted)}")


def replicas_of(spec: NamespaceSpec) -> list[str]:
    """The regions that a spec asks for, in either of the fields that say so. InvalidArgument: they disagree."""
    old, new = list(spec.regions), [replica.region for replica in spec.replicas]
    if old and new and set(old) != set(new):
        raise InvalidArgument("regions and replicas of the spec disagree")
    return new or old


def canonical(spec: NamespaceSpec) -> NamespaceSpec:
    """The spec with each thing once and in its newest field. InvalidArgument: two fields disagree, or one is wrong."""
    made = NamespaceSpec()
    made.CopyFrom(spec)
    made.ClearField("regions")
    made.ClearField("replicas")
    made.replicas.extend(ReplicaSpec(region=region) for region in replicas_of(spec))
    for name, word in spec.custom_search_attributes.items():
        number = _TYPE_NAMES.get(word.lower())
        if number is None:
            raise InvalidArgument(f"unknown type {word!r} of search attribute {name!r}")
        if made.search_attributes.setdefault(name, _TYPES.ValueType(number)) != number:
            raise InvalidArgument(f"search attribute {name!r} has two types in the spec")
    made.ClearField("custom_search_attributes")
    _canonical_certificates(made.mtls_auth)
    for field in _ALWAYS_SHOWN:
        getattr(made, field).SetInParent()
    return made


def check(spec: NamespaceSpec, replicas: Sequence[str], longest_retention: int = LONGEST_RETENTION) -> None:
    """Check what is in a canonical spec, but for name and places, of a namespace there. Raises InvalidArgument."""
    if not 1 <= spec.retention_days <= longest_retention:
        raise InvalidArgument(f"retention_days must be between 1 and {longest_retention}")
    for name, number in spec.search_attributes.items():
        check_search_attribute(name)
        if number not in _TYPE_NAMES.values():
            raise InvalidArgument(f"unknown type {number} of search attribute {name!r}")
    client_certificates.check(spec.mtls_auth)
    codec = spec.codec_server
    if codec.endpoint and not _HOST_AND_PATH.match(codec.endpoint):
        raise InvalidArgument(f"codec server endpoint {codec.endpoint!r} must be an https:// address")
    if not codec.endpoint and (codec.pass_access_token or codec.include_cross_origin_credentials):
        raise InvalidArgument("a codec server needs an endpoint")
    for rule in spec.connectivity_rule_ids:
        raise InvalidArgument(f"connectivity rule {rule!r} not found")
    if spec.capacity_spec.HasField("provisioned") and not 0 < spec.capacity_spec.provisioned.value < math.inf:
        raise InvalidArgument("provisioned capacity must be finite and greater than 0")
    if spec.high_availability.disable_managed_failover and same_region(replicas):
        raise InvalidArgument(
            "managed failover cannot be disabled for a namespace with same-region replication"
        )


def check_search_attribute(name: str) -> None:
    """Raises InvalidArgument for what the Cloud does not take as the name of a custom search attribute."""
    if not _SEARCH_ATTRIBUTE.match(name) or not name.strip():
        raise InvalidArgument(
            f"invalid search attribute name {name!r}: "
            "it has 1 to 64 letters, digits, blanks, or '.', ',', ':', '-', '_', '\\', '/' or '@'"
        )


def shown(stored: NamespaceSpec, record: NamespaceRecord) -> NamespaceSpec:
    """The canonical spec of a namespace."""
    spec = NamespaceSpec()
    spec.CopyFrom(stored)
    spec.name = record.name
    spec.retention_days = -(-record.retention // times.DAY)
    for name, number in record.custom_search_attributes.items():
        spec.search_attributes[name] = _TYPES.ValueType(number)
    spec.replicas.extend(ReplicaSpec(region=region) for region in record.clusters)
    spec.high_availability.disable_passive_poller_forwarding = record.disable_passive_poller_forwarding
    for field in _ALWAYS_SHOWN:
        getattr(spec, field).SetInParent()
    return spec


def stored_part(spec: NamespaceSpec) -> NamespaceSpec:
    """What of a canonical spec no region knows."""
    stored = NamespaceSpec()
    stored.CopyFrom(spec)
    for field in _OF_RECORD:
        stored.ClearField(field)
    stored.high_availability.ClearField("disable_passive_poller_forwarding")
    return stored


def with_old_fields(spec: NamespaceSpec) -> NamespaceSpec:
    """A canonical spec with the fields that older versions of the API read filled as well."""
    old = NamespaceSpec()
    old.CopyFrom(spec)
    old.regions.extend(replica.region for replica in spec.replicas)
    for name, number in spec.search_attributes.items():
        old.custom_search_attributes[name] = next(
            word for word, known in _TYPE_NAMES.items() if known == number
        )
    certificates = base64.b64encode(spec.mtls_auth.accepted_client_ca).decode()
    old.mtls_auth.accepted_client_ca_deprecated = certificates
    return old


def updated(
    current: NamespaceSpec, request: NamespaceSpec, version: Version | None, regions: Sequence[str]
) -> NamespaceSpec:
    """The canonical spec that an update asks for: the request's, whole, but for what its caller could not say.

    `regions`: of the cloud. Raises InvalidArgument: what cannot change shall, or nothing would.
    """
    places = _updated_places(current, request, regions)
    placeless = NamespaceSpec()
    placeless.CopyFrom(request)
    placeless.ClearField("regions")
    placeless.ClearField("replicas")
    wanted = canonical(placeless)
    if wanted.name not in {"", current.name}:
        raise InvalidArgument("the name of a namespace cannot be changed")
    wanted.name = current.name
    wanted.replicas.extend(ReplicaSpec(region=region) for region in places)
    for field in (*_ALWAYS_SHOWN, *_KEPT):
        unsaid = field in _KEPT or not knows(version, NamespaceSpec, field)
        if unsaid and not _has(request, field) and _has(current, field):
            getattr(wanted, field).CopyFrom(getattr(current, field))
    if not knows(version, type(wanted.high_availability), "disable_passive_poller_forwarding"):
        kept = current.high_availability.disable_passive_poller_forwarding
        wanted.high_availability.disable_passive_poller_forwarding = kept
    _check_search_attributes(current.search_attributes, wanted.search_attributes)
    check(wanted, replicas_of(wanted))
    if wanted == current:
        raise InvalidArgument("nothing to change")
    return wanted


def _updated_places(current: NamespaceSpec, request: NamespaceSpec, regions: Sequence[str]) -> list[str]:
    """Where an update wants the replicas: `replicas` may change that, `regions` only say what is so."""
    before = replicas_of(current)
    said = cells(list(request.regions), regions)
    wanted = cells([replica.region for replica in request.replicas], regions) or before
    if said and set(said) not in (set(before), set(wanted)):
        raise InvalidArgument(
            "the regions of a namespace cannot be changed by an update, but its replicas can"
        )
    return before if set(wanted) == set(before) else wanted


def _has(spec: NamespaceSpec, field: str) -> bool:
    return any(descriptor.name == field for descriptor, _ in spec.ListFields())


def _check_search_attributes(before: Mapping[str, int], after: Mapping[str, int]) -> None:
    for name, number in before.items():
        if name not in after:
            raise InvalidArgument(f"deleting a search attribute is not supported: {name!r} is missing")
        if after[name] != number:
            raise InvalidArgument(f"the type of search attribute {name!r} cannot be changed")


def _canonical_certificates(mtls: MtlsAuthSpec) -> None:
    if not mtls.accepted_client_ca_deprecated:
        return
    try:
        certificates = base64.b64decode(mtls.accepted_client_ca_deprecated, validate=True)
    except binascii.Error:
        raise InvalidArgument("accepted_client_ca is not base64") from None
    if mtls.accepted_client_ca not in {b"", certificates}:
        raise InvalidArgument("the spec has two different accepted_client_ca")
    mtls.accepted_client_ca = certificates
    mtls.ClearField("accepted_client_ca_deprecated")
