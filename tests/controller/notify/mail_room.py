"""A real mail server that keeps what it is handed."""

from __future__ import annotations

import asyncio
import queue
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.controller.notify.receiver import WAIT_S


@dataclass
class MailRoom:
    """What the server was handed, and what it answers to recipients."""

    answers: list[str] = field(default_factory=list)
    handed: queue.SimpleQueue[EmailMessage] = field(default_factory=queue.SimpleQueue)
    secured: list[bool] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.secured.append(session.ssl is not None)
        self.handed.put(message)
        return "250 OK"

    def next(self) -> EmailMessage:
        """Return the next message that is handed in."""
        return self.handed.get(timeout=WAIT_S)


def knows(server: Any, session: Session, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """Let in who has the password."""
    assert isinstance(data, LoginPassword)
    known = (data.login, data.password) == (b"slackwater", b"open sesame")
    return AuthResult(success=known, handled=False)


class _OnAnyPort(Controller):
    """A server on a port that the system chooses."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def mail_room(
    *answers: str, tls: ssl.SSLContext | None = None, tls_first: bool = False, **more: Any
) -> Iterator[MailRoom]:
    """Run a server on a free port; it offers STARTTLS, or TLS from the start, with a context."""
    room = MailRoom(answers=list(answers))
    own: dict[str, Any] = {"ssl_context": tls} if tls_first else {"tls_context": tls}
    controller = _OnAnyPort(room, hostname="127.0.0.1", port=0, **own, **more)
    controller.start()
    try:
        room.port = controller.port
        yield room
    finally:
        controller.stop()
