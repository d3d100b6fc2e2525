"""Notifications: what is made, and how it gets to a real mail server."""

from __future__ import annotations

import asyncio
import email
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import Message as Mail
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.control.mail import Mailer
from mockcloud.control.outbox import Delivery, Notification
from mockcloud.control.settings import ControlSettings
from mockcloud.core.errors import PermissionDenied
from tests.control.fakes import EAST, PATIENCE, WEST, World, raising, seconds, world

RECIPIENT = "admin@example.com"


class Server:
    """A mail server on this event loop, that can be told what to answer."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.answer = "250 OK"
        self.tries = 0
        self._news = asyncio.Event()

    async def handle_RCPT(  # noqa: N802 aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        self.tries += 1
        self._news.set()
        return self.answer

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content))
        self._news.set()
        return "250 OK"

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def listening(server: Server, port: int = 0) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: SMTP(server), "127.0.0.1", port)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


def settings(port: int) -> ControlSettings:
    return ControlSettings(
        mailer=Mailer("127.0.0.1", port),
        notify=(RECIPIENT, "second@example.com"),
        mail_retry_first=seconds(0.01),
        mail_retry_most=seconds(0.02),
    )


async def failover(cloud: World, region: str = WEST, **options: Any) -> admin.OperationView:
    request = admin.FailoverRequest(namespace="orders", region=region, who="Ada", **options)
    return await cloud.plane.failover(request)


async def latest(cloud: World) -> Notification:
    return (await cloud.plane.notifications(1))[0]


async def delivered(cloud: World, delivery: Delivery) -> Notification:
    """The last notification once it is so."""
    return await when(cloud, lambda found: found.delivery is delivery)


async def when(cloud: World, condition: Callable[[Notification], bool]) -> Notification:
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await latest(cloud)
            if condition(found):
                return found
            await asyncio.sleep(0.001)


async def test_without_a_server_notifications_are_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        operation = await failover(cloud)
        kept = await latest(cloud)
        await cloud.restart()
        assert await latest(cloud) == kept

    assert kept.subject == f"Failover of namespace orders to {WEST} has completed"
    assert (kept.delivery, kept.recipients, kept.namespace) == (Delivery.KEPT, (), "orders")
    for word in (EAST, WEST, "graceful", "Ada", operation.id):
        assert word in kept.body


async def test_a_failover_is_told_by_mail(tmp_path: Path) -> None:
    server = Server()
    async with listening(server) as port, world(tmp_path, settings(port)) as cloud:
        await failover(cloud)
        sent = await delivered(cloud, Delivery.SENT)

        (mail,) = server.mails
        assert mail["To"] == f"{RECIPIENT}, second@example.com"
        assert mail["Subject"] == sent.subject
        assert mail["Message-ID"] == f"<{sent.id}@mockcloud.invalid>"
        assert str(mail.get_payload()).replace("\r\n", "\n") == sent.body
        assert sent.sent > sent.time
        told = [data["delivery"] for kind, data in cloud.told if kind == "notification"]
        assert told == ["waiting", "sent"]


async def test_one_that_fails_is_told_too(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        cloud.west.hooks["switch"] = raising(PermissionDenied("not today"))
        operation = await failover(cloud, forced=True)
        assert operation.state == "FAILED"
        told = await latest(cloud)
    assert told.subject.endswith("has failed")
    assert "not today" in told.body


async def test_a_failover_that_has_nothing_to_do_is_not_told(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        await failover(cloud, EAST)
        assert await cloud.plane.notifications(10) == []


async def test_a_server_that_is_down_is_tried_until_it_is_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with world(tmp_path, settings(port)) as cloud:
        await failover(cloud)
        await when(cloud, lambda found: found.problem != "")
        await failover(cloud, EAST)
        server = Server()
        async with listening(server, port):
            await server.until(lambda: len(server.mails) == 2)
            sent = await delivered(cloud, Delivery.SENT)
        assert sent.problem == ""
        assert [mail["Subject"].split()[5] for mail in server.mails] == [WEST, EAST]


async def test_a_server_that_is_busy_is_tried_again(tmp_path: Path) -> None:
    server = Server()
    server.answer = "450 come back later"
    async with listening(server) as port, world(tmp_path, settings(port)) as cloud:
        await failover(cloud)
        await server.until(lambda: server.tries > 4)
        assert (await latest(cloud)).delivery is Delivery.WAITING
        server.answer = "250 OK"
        await delivered(cloud, Delivery.SENT)
        assert len(server.mails) == 1


async def test_what_the_server_refuses_for_good_is_given_up(tmp_path: Path) -> None:
    server = Server()
    server.answer = "550 no such mailbox"
    async with listening(server) as port, world(tmp_path, settings(port)) as cloud:
        await failover(cloud)
        refused = await delivered(cloud, Delivery.REFUSED)
        assert refused.problem == "550 no such mailbox"
        tries = server.tries
        server.answer = "250 OK"
        await failover(cloud, EAST)
        await delivered(cloud, Delivery.SENT)
        assert len(server.mails) == 1
        assert server.tries == tries + 2


async def test_what_was_not_sent_is_sent_by_the_next_control_plane(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Server()
    async with world(tmp_path, settings(port)) as cloud:
        await failover(cloud)
        await cloud.plane.kill()
        async with listening(server, port):
            await cloud.restart()
            await delivered(cloud, Delivery.SENT)
    assert len(server.mails) == 1


async def test_words_of_callers_cannot_forge_headers(tmp_path: Path) -> None:
    server = Server()
    async with listening(server) as port, world(tmp_path, settings(port)) as cloud:
        await failover(cloud, operation_id="x\r\nBcc: everybody@example.com")
        await delivered(cloud, Delivery.SENT)
    (mail,) = server.mails
    assert mail["Bcc"] is None
