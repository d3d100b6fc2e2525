"""E-mail to one SMTP server, by the standard library. Blocking: it belongs on a thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from mockcloud.core import times

_SECONDS: Final = 5.0
SENDER: Final = "noreply@mockcloud.invalid"


class Refused(Exception):
    """The server will not take the message, however often it is tried."""


class Mailer(NamedTuple):
    """Where mail goes."""

    host: str
    port: int

    def send(self, *, message_id: str, time: int, recipients: Sequence[str], subject: str, body: str) -> None:
        """Hand a message over to the server.

        Args:
            message_id: the same for each try, so that mail programs show it once.
            time: nanoseconds since the epoch.
            recipients: addresses.
            subject: one line.
            body: plain text.

        Raises:
            Refused: for good.
            OSError: anything else; smtplib's errors are of that kind.
        """
        # Only who sends mail waits for the library to be loaded.
        import smtplib
        from email.message import EmailMessage
        from email.policy import SMTP
        from email.utils import formatdate

        message = EmailMessage(policy=SMTP)
        message["From"] = SENDER
        message["To"] = ", ".join(recipients)
        message["Subject"] = subject
        message["Date"] = formatdate(time / times.SECOND)
        message["Message-ID"] = f"<{message_id}@mockcloud.invalid>"
        message.set_content(body)
        try:
            with smtplib.SMTP(self.host, self.port, timeout=_SECONDS) as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            _raise(code, text, error)
        except smtplib.SMTPResponseException as error:
            _raise(error.smtp_code, error.smtp_error, error)


def _raise(code: int, text: bytes | str, error: OSError) -> None:
    """RFC 5321 §4.2.1: 5yz is for good, 4yz is not."""
    words = f"{code} {text.decode(errors='replace') if isinstance(text, bytes) else text}"
    if code >= 500:
        raise Refused(words) from error
    raise OSError(words) from error
