"""What a cloud is started with."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mockcloud.cloud.fault_ends import ENDS
from mockcloud.control.health import ManagedFailover
from mockcloud.core import dynamic_config, times
from mockcloud.core.errors import StartupError
from mockcloud.core.limits import Limits
from mockcloud.rpc.tls import Tls

DEFAULT_REGIONS = ("aws-us-east-1", "aws-us-west-2")
MAXIMUM_REGIONS = 9
SEARCH_ATTRIBUTE_TYPES = ("Bool", "Datetime", "Double", "Int", "Keyword", "KeywordList", "Text")

# How the ports of `--port P` are laid out: P is the first namespace's endpoint, P+1… the regions, P+10 Cloud Ops,
# P+1000 HTTP.
CLOUD_OPS_OFFSET = 10
HTTP_OFFSET = 1000


# Dynamic-config keys, in lower case, of settings below that are seconds.
_SECONDS: Final = {
    "frontend.keepalivemaxconnectionage": "connection_age",
    "frontend.keepalivemaxconnectionagegrace": "connection_grace",
}


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """Everything that can be chosen of a cloud. Tests scale the durations down; all are seconds."""

    regions: tuple[str, ...] = DEFAULT_REGIONS
    namespaces: tuple[str, ...] = ("default",)
    data_dir: Path | None = None
    database_file: Path | None = None  # instead of data_dir: the databases lie beside this file
    host: str = "127.0.0.1"
    port: int = 0
    endpoint_host: str = ""  # that namespace endpoints listen on; empty: `host`
    port_layout: bool = True  # the other ports follow `port`; else they are free ones
    search_attributes: Mapping[str, str] = field(
        default_factory=dict
    )  # types by name, of each namespace above
    limits: Limits = field(default_factory=Limits)
    dynamic_config: Mapping[str, object] = field(
        default_factory=dict
    )  # by the real server's keys; wins over limits
    retention_days: int = 3
    account: str = "local"  # namespace ids of the Cloud Ops API are `name.account`; regions take them, too
    readd_days: float = 7.0  # after which a region that was deleted from a namespace can be added again
    failover_timeout: float = 10.0  # of the graceful attempt; then it is forced
    handover: str = "hold"  # or "reject"
    redirection: str = "all"  # or "selected"
    passive_polls: str = "forward"  # or "hold", "error"
    unforwarded_polls: str = "hold"  # or "error": of namespaces with disable_passive_poller_forwarding
    connection_age: float = 300.0  # of clients' connections, ± 10 %
    connection_grace: float = 70.0
    api_key: str = ""  # of the account's owner; with it, every call needs a key
    tls: Tls | None = None  # of every endpoint; None: plain
    development_ca: Path | None = None  # a directory: certificates of a CA there, made if need be
    smtp: tuple[str, int] | None = None  # host and port that notifications are sent to
    notify: tuple[str, ...] = ()  # who gets them
    audit_file: Path | None = None  # JSON lines of the audit log are appended there
    managed_failover: ManagedFailover | None = None  # None: namespaces fail over when somebody says so, only
    dns_ttl: float = 0.0  # for which clients believe in the old region after a failover; the Cloud's: 15
    endpoint_connections: int = 1000  # at most, of each endpoint
    seed: int | None = None  # of every random choice; None: unpredictable

    @property
    def durable(self) -> bool:
        """Whether everything is kept when the cloud ends."""
        return self.data_dir is not None or self.database_file is not None

    def with_certificates(self) -> CloudSettings:
        """These settings with the certificates of the development CA, if there shall be one. StartupError."""
        directory = self.development_ca
        if directory is None:
            return self
        from mockcloud.cloud import development_ca

        development_ca.provide(directory, {self.host, self.endpoint_host} - {""})
        client_ca = self.tls.client_ca if self.tls is not None else None
        return self.replace(tls=Tls(directory / "server.pem", directory / "server.key", client_ca))

    def configured(self) -> tuple[CloudSettings, list[str]]:
        """These settings with the dynamic configuration laid over the limits, and its keys that set nothing here.

        Raises:
            StartupError: a value is not of its setting's type.
        """
        changes: dict[str, float] = {}
        rest: dict[str, object] = {}
        try:
            for key, value in self.dynamic_config.items():
                field_name = _SECONDS.get(key.lower())
                if field_name is None:
                    rest[key] = value
                else:
                    duration = dynamic_config.converted(key, value, dynamic_config.duration)
                    changes[field_name] = duration / times.SECOND
            limits, without_effect = dynamic_config.apply(self.limits, rest)
        except dynamic_config.BadValue as error:
            raise StartupError(str(error)) from None
        return self.replace(limits=limits, **changes), without_effect

    def replace(self, **changes: Any) -> CloudSettings:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def check(self) -> None:
        """Raises StartupError when no cloud can be started so."""
        if not 1 <= len(self.regions) <= MAXIMUM_REGIONS:
            raise StartupError(
                f"a cloud has between 1 and {MAXIMUM_REGIONS} regions, not {len(self.regions)}"
            )
        if len(set(self.regions)) != len(self.regions):
            raise StartupError(f"a region is named twice: {', '.join(self.regions)}")
        for region in self.regions:
            name, _, cell = region.partition("#")
            if not name or not all(c.isalnum() or c == "-" for c in name) or (cell and not cell.isdigit()):
                raise StartupError(
                    f"not a region id: {region!r} (letters, digits and '-', with '#2' for a second cell)"
                )
            if region in ENDS:
                raise StartupError(f"no region can be named {region!r}: faults know that as something else")
        if not 0 <= self.dns_ttl < math.inf or self.endpoint_connections < 1:
            raise StartupError(
                "an endpoint has a TTL that is finite and not negative, and at least one connection"
            )
        if self.managed_failover is not None:
            self.managed_failover.check()
        if not 0 <= self.port <= 65535:
            raise StartupError(f"not a port: {self.port}")
        if self.port_layout and self.port > 65535 - HTTP_OFFSET:
            raise StartupError(f"not a port with room for {HTTP_OFFSET} more after it: {self.port}")
        self._check_people()
        if self.tls is not None:
            self.tls.check()
        if not all(self.namespaces):
            raise StartupError("a namespace has a name")
        for name, kind in self.search_attributes.items():
            if kind not in SEARCH_ATTRIBUTE_TYPES:
                raise StartupError(f"invalid search attribute value type {kind!r} of {name!r}")

    def _check_people(self) -> None:
        if not re.fullmatch(r"[!-~]*", self.api_key):
            raise StartupError("an API key has no blanks and no characters beyond ASCII")
        if (self.smtp is None) != (not self.notify):
            raise StartupError("notifications need both a mail server and who gets them")
        for address in self.notify:
            if not re.fullmatch(r"[^@\s,<>]+@[^@\s,<>]+", address):
                raise StartupError(f"not an e-mail address: {address!r}")
