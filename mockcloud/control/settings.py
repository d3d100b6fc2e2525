"""The control plane's figures. Durations are nanoseconds; tests scale them down."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mockcloud.control.health import ManagedFailover
from mockcloud.control.mail import Mailer
from mockcloud.core import times


class ControlSettings(NamedTuple):
    """Defaults are those of Temporal Cloud where its documentation gives one."""

    graceful: int = 10 * times.SECOND  # the whole graceful attempt of a failover; then it is forced
    call_timeout: int = 2 * times.SECOND  # of a call to a region that is not part of that attempt
    retry_first: int = 20 * times.MILLISECOND  # of a switch that the target did not answer; doubles
    retry_most: int = times.SECOND
    watch_retry: int = 100 * times.MILLISECOND  # before a region that went away is called again
    check_after: int = (
        100 * times.MILLISECOND
    )  # what a client is told to wait before it asks for an operation again
    report_wait: int = (
        5 * times.SECOND
    )  # the most that an answer waits for what a forced failover left behind
    owner_key: str = ""  # of the account's owner; with it, every call needs a key
    audit_file: Path | None = None  # that the audit log is written to as well, as JSON lines
    mailer: Mailer | None = None  # that notifications are sent by
    notify: tuple[str, ...] = ()  # the addresses that they go to
    mail_retry_first: int = times.SECOND  # of a mail server that cannot be reached; doubles
    mail_retry_most: int = times.MINUTE
    retention: int = 3 * times.DAY  # of namespaces made without one
    readd_block: int = (
        7 * times.DAY
    )  # after which a region that was deleted from a namespace can be added again
    managed: ManagedFailover | None = None  # None: nobody looks after regions
    account: str = "local"  # the second half of namespace ids

    @property
    def catch_up(self) -> int:
        """How long the replica may take to catch up before HANDOVER is set regardless."""
        return self.graceful // 2
