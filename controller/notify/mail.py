"""Handing e-mails to the operator's mail server.

A server elsewhere must speak TLS, or nothing is handed to it: neither password nor address.
"""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from controller.errors import RecipientError
from controller.notify.dialling import Allowance
from controller.notify.messages import Contact, Letterhead
from controller.notify.notices import Notice
from controller.notify.outcomes import Fate, Outcome

_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """The server that takes our e-mails.

    Parameters
    ----------
    host : str
    port : int
    tls_first : bool
        Whether TLS comes before all else (``smtps``), and not by STARTTLS.
    user, password : str
        Empty without a login.
    """

    host: str
    port: int
    tls_first: bool = False
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str, password: str = "") -> MailServer:
        """Return the server of a URL ``smtp[s]://[user[:password]@]host[:port]``.

        A password that is given apart is the one that counts.

        Raises
        ------
        RecipientError
            It is none. The message does not repeat it.
        """
        try:
            found = urlsplit(url)
            port = found.port
        except ValueError as error:
            raise RecipientError("the mail server's URL cannot be read") from error
        if found.scheme not in _PORTS or not found.hostname or found.path not in {"", "/"}:
            raise RecipientError("the mail server's URL is not smtp://host:port or smtps://host")
        return cls(
            host=found.hostname,
            port=port or _PORTS[found.scheme],
            tls_first=found.scheme == "smtps",
            user=unquote(found.username or ""),
            password=password or unquote(found.password or ""),
        )

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, so that TLS protects nothing."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailer:
    """Sends notices, and questions whether they are wanted, by e-mail.

    Parameters
    ----------
    server : MailServer
    letterhead : Letterhead
    clock : callable
        The time [POSIX s] that messages are dated.
    tls : ssl.SSLContext
        Whose certificates are believed; the system's, if not told.
    """

    server: MailServer
    letterhead: Letterhead
    clock: Callable[[], float] = time.time
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def send(self, contact: Contact, notice: Notice, allowance: Allowance) -> Outcome:
        """Make one attempt to tell a notice; whatever goes wrong outside is an outcome."""
        return self._handed(self.letterhead.notice(contact, notice, self.clock()), allowance)

    def ask(self, contact: Contact, letter_id: str, allowance: Allowance) -> Outcome:
        """Make one attempt to ask whether an address wants our e-mail."""
        message = self.letterhead.confirmation(contact, letter_id, self.clock())
        return self._handed(message, allowance)

    def _handed(self, message: EmailMessage, allowance: Allowance) -> Outcome:
        try:
            with self._session(allowance) as session:
                session.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            return _refused(error)
        except (OSError, smtplib.SMTPException) as error:
            if allowance.is_cancelled:
                return Outcome(fate=Fate.ABANDONED)
            return Outcome(fate=Fate.FAILED, reason=_cause(error))
        return Outcome(fate=Fate.SENT)

    @contextmanager
    def _session(self, allowance: Allowance) -> Iterator[smtplib.SMTP]:
        limit_s = max(allowance.left_s, 0.001)
        here = self.server
        with (
            smtplib.SMTP_SSL(here.host, here.port, timeout=limit_s, context=self.tls)
            if here.tls_first
            else smtplib.SMTP(here.host, here.port, timeout=limit_s)
        ) as session:
            allowance.hold(session.sock)
            try:
                self._secured(session)
                allowance.hold(session.sock)
                if here.user:
                    session.login(here.user, here.password)
                yield session
            finally:
                allowance.hold(None)

    def _secured(self, session: smtplib.SMTP) -> None:
        session.ehlo_or_helo_if_needed()
        if self.server.tls_first:
            return
        if session.has_extn("starttls"):
            session.starttls(context=self.tls)
        elif not self.server.is_here:
            raise smtplib.SMTPNotSupportedError("no TLS")


def _refused(error: smtplib.SMTPRecipientsRefused) -> Outcome:
    """Tell an address that is not there from a server that asks to come again."""
    codes = [code for code, _ in error.recipients.values()]
    reason = f"the mail server answered {codes[0]} for the address"
    never = all(code >= 500 for code in codes)
    return Outcome(fate=Fate.REFUSED if never else Fate.FAILED, reason=reason)


def _cause(error: OSError | smtplib.SMTPException) -> str:
    match error:
        case smtplib.SMTPNotSupportedError():
            return "the mail server offers no TLS, or not what is asked of it"
        case smtplib.SMTPAuthenticationError():
            return "the mail server refused the login"
        case smtplib.SMTPResponseException():
            return f"the mail server answered {error.smtp_code}"
        case ssl.SSLError():
            return "the mail server's certificate is not trusted, or TLS failed"
        case _ if isinstance(error.__context__ or error, TimeoutError):
            return "the mail server did not answer in time"
    return "the mail server is out of reach"
