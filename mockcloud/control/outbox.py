"""Notifications: what administrators are told by e-mail. Each is kept here; it is sent where an SMTP server is set.

A notification is stored in the transaction of what it tells of. It is sent after that, again and again while the server
cannot be reached, in order; so that one may be sent twice by a control plane that dies in between, with the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import uuid
from enum import StrEnum
from typing import Any, Final, NamedTuple

from mockcloud.control.database import Closed, Database
from mockcloud.control.events import Tell
from mockcloud.control.mail import Mailer, Refused
from mockcloud.control.operations import Kind, Mode, Operation, State
from mockcloud.control.settings import ControlSettings
from mockcloud.control.waiting import wait_for
from mockcloud.core import times
from mockcloud.core.ports import Ports

_logger = logging.getLogger(__name__)


class Delivery(StrEnum):
    """What became of a notification."""

    KEPT = "kept"  # there was no server to send it to
    WAITING = "waiting"
    SENT = "sent"
    REFUSED = "refused"  # by the server, for good


class Notification(NamedTuple):
    """One message to administrators. Times are nanoseconds since the epoch; 0: not yet."""

    id: str
    time: int
    namespace: str
    subject: str
    body: str
    recipients: tuple[str, ...]
    delivery: Delivery
    sent: int = 0
    problem: str = ""  # of the last try

    def told(self) -> dict[str, Any]:
        """As the timeline has it."""
        return {
            "notification_id": self.id,
            "namespace": self.namespace,
            "subject": self.subject,
            "recipients": list(self.recipients),
            "delivery": self.delivery,
            "problem": self.problem,
        }


_COLUMNS: Final = ", ".join(Notification._fields)
_SELECT: Final = f"SELECT {_COLUMNS} FROM notifications"  # noqa: S608 constants
_LIST: Final = f"{_SELECT} ORDER BY time DESC, id LIMIT ?"
_WAITING: Final = f"{_SELECT} WHERE delivery = 'waiting' ORDER BY time, id"
_PUT: Final = (
    f"INSERT OR REPLACE INTO notifications ({_COLUMNS})"  # noqa: S608 constants
    f" VALUES ({', '.join('?' * len(Notification._fields))})"
)

_OUTCOMES: Final = {
    State.FULFILLED: "has completed",
    State.FAILED: "has failed",
    State.CANCELLED: "was cancelled",
}


class Outbox:
    """The notifications of a cloud.

    Args:
        tell: is called when one is made, and with what became of it.
    """

    def __init__(self, database: Database, ports: Ports, settings: ControlSettings, tell: Tell) -> None:
        self._database: Final = database
        self._ports: Final = ports
        self._settings: Final = settings
        self._tell: Final = tell
        self._mailer: Final = settings.mailer
        self._news: Final = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Send what waits, from now on."""
        if self._mailer is not None:
            self._sending = asyncio.create_task(self._send(self._mailer), name="notifications")

    def stop(self) -> list[asyncio.Task[None]]:
        """Cancel what runs, without waiting. What was cancelled."""
        if self._sending is None:
            return []
        self._sending.cancel()
        return [self._sending]

    def beside(self, connection: sqlite3.Connection, operation: Operation) -> None:
        """Store the notification of an operation's step, if it has one, in the transaction of that."""
        notification = self._of(operation)
        if notification is not None:
            connection.execute(_PUT, _values(notification))

    def stored(self, operation: Operation) -> None:
        """The transaction of `beside` is committed."""
        notification = self._of(operation)
        if notification is not None:
            self._tell("notification", notification.told())
            self._news.set()

    async def latest(self, most: int) -> list[Notification]:
        """The latest ones, the last one first."""
        return await self._query(_LIST, most)

    def _of(self, operation: Operation) -> Notification | None:
        """Failovers are told of when they end, unless they had nothing to do (documentation: cloud/notifications)."""
        if operation.kind is not Kind.FAILOVER or not operation.ended or operation.after_id:
            return None
        if operation.mode is Mode.NONE:
            return None
        outcome = _OUTCOMES[operation.state]
        recipients = self._settings.notify if self._mailer is not None else ()
        return Notification(
            # Of the operation, so that a step that is taken twice makes one; but no words of a caller's.
            id=str(uuid.uuid5(uuid.NAMESPACE_OID, operation.id)),
            time=operation.finished,
            namespace=operation.namespace,
            subject=f"Failover of namespace {operation.namespace} to {operation.region} {outcome}",
            body=_body(operation, outcome),
            recipients=recipients,
            delivery=Delivery.WAITING if recipients else Delivery.KEPT,
        )

    async def _send(self, mailer: Mailer) -> None:
        pause = self._settings.mail_retry_first
        with contextlib.suppress(Closed):
            while True:
                self._news.clear()
                for notification in await self._query(_WAITING):
                    after = await self._delivered(mailer, notification)
                    if after != notification:
                        await self._save(after)
                    if after.delivery is Delivery.WAITING:
                        await wait_for(asyncio.Event(), pause)
                        pause = min(2 * pause, self._settings.mail_retry_most)
                        break
                    self._tell("notification", after.told())
                    pause = self._settings.mail_retry_first
                else:
                    await self._news.wait()

    async def _delivered(self, mailer: Mailer, notification: Notification) -> Notification:
        """The notification after one try to send it."""
        try:
            await asyncio.to_thread(
                mailer.send,
                message_id=notification.id,
                time=notification.time,
                recipients=notification.recipients,
                subject=notification.subject,
                body=notification.body,
            )
        except Refused as error:
            _logger.warning("%s: the mail server refuses it: %s", notification.subject, error)
            return notification._replace(delivery=Delivery.REFUSED, problem=str(error))
        except OSError as error:
            _logger.info("%s: not sent yet: %s", notification.subject, error)
            return notification._replace(problem=str(error))
        return notification._replace(delivery=Delivery.SENT, sent=self._ports.clock.now(), problem="")

    async def _save(self, notification: Notification) -> None:
        await self._database.execute(_PUT, *_values(notification))

    async def _query(self, sql: str, *values: object) -> list[Notification]:
        return [_notification(row) for row in await self._database.rows(sql, *values)]


def _body(operation: Operation, outcome: str) -> str:
    rows = {
        "Namespace": operation.namespace,
        "From": operation.source,
        "To": operation.region,
        "How": operation.mode,
        "Requested": f"{_moment(operation.started)} by {operation.who or 'mockcloud'}",
        "Ended": _moment(operation.finished),
        "Cause": operation.cause,
        "Reason": operation.reason,
        "Operation": operation.id,
    }
    facts = "".join(f"{name + ':':<11} {value}\n" for name, value in rows.items() if value)
    head = f"The failover of namespace {operation.namespace} to {operation.region} {outcome}."
    return f"{head}\n\n{facts}"


def _moment(nanoseconds: int) -> str:
    return times.timestamp(nanoseconds).ToJsonString()


def _values(notification: Notification) -> tuple[object, ...]:
    return tuple(json.dumps(value) if isinstance(value, tuple) else value for value in notification)


def _notification(row: tuple[Any, ...]) -> Notification:
    values = dict(zip(Notification._fields, row, strict=True))
    values.update(recipients=tuple(json.loads(values["recipients"])), delivery=Delivery(values["delivery"]))
    return Notification(**values)
