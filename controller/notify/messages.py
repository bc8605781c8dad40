"""The e-mails that are sent: plain text, few words, and a way out of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from controller.errors import RecipientError
from controller.notify.notices import Notice
from controller.notify.payload import instant
from controller.notify.tokens import Asked, opt_in_token, unsubscribe_token
from planner.model import NoticeKind

ADDRESS_CHARACTERS_MAX = 254
"""Of an address on the wire (RFC 5321, 4.5.3.1.3)."""

# Dot-atoms only: quoted local parts, comments and address literals are legal, and nobody's.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")

_SUBJECTS = {
    NoticeKind.DELIVERED: "{product} is delivered",
    NoticeKind.LATE: "{product} is delivered late",
    NoticeKind.AT_RISK: "{product} may be late",
    NoticeKind.RECOVERED: "{product} is expected in time again",
    NoticeKind.EXPIRED: "{product} missed its deadline and will not come",
    NoticeKind.FAILED: "{product} failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person's address that wants the notices of a subscription.

    Parameters
    ----------
    id : str
    subscription_id : str
    address : str
    """

    id: str
    subscription_id: str
    address: str

    @property
    def asked(self) -> Asked:
        """What the links of its e-mails stand for."""
        return Asked(contact_id=self.id, address=self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What all our e-mails have in common.

    Parameters
    ----------
    sender : str
        The address in From.
    confirm_url, unsubscribe_url : str
        Pages of this service; a token is appended to them (``https://.../confirm?token=``).
    token_key : bytes
        Signs the tokens; a secret.
    """

    sender: str
    confirm_url: str
    unsubscribe_url: str
    token_key: bytes

    def __repr__(self) -> str:
        """Show who sends, not what signs."""
        return f"Letterhead(sender={self.sender!r})"

    def notice(self, contact: Contact, notice: Notice, at: float) -> EmailMessage:
        """Return the e-mail that tells a notice; its Message-ID is the same at each attempt."""
        subject = _SUBJECTS[notice.kind].format(product=notice.product_id)
        way_out = self.unsubscribe_url + unsubscribe_token(self.token_key, contact.asked)
        message = self._message(contact, subject, f"{notice.id}.{contact.id}", at)
        message["List-Unsubscribe"] = f"<{way_out}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(
            f"{_told(notice)}\n\n-- \nSubscription {notice.subscription_id}."
            f" No more e-mail: {way_out}\n"
        )
        return message

    def confirmation(self, contact: Contact, letter_id: str, at: float) -> EmailMessage:
        """Return the e-mail that asks whether an address wants ours."""
        link = self.confirm_url + opt_in_token(self.token_key, contact.asked, at)
        subject = f"Confirm e-mail about {contact.subscription_id}"
        message = self._message(contact, subject, letter_id, at)
        message.set_content(
            f"Somebody, probably you, asked to be told at this address about the data subscription"
            f" {contact.subscription_id}.\n\nTo confirm, open this within three days:\n{link}\n\n"
            "If it was not you, do nothing: you will not hear from us again.\n"
        )
        return message

    def _message(self, contact: Contact, subject: str, name: str, at: float) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = checked_address(self.sender)
        message["To"] = checked_address(contact.address)
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.fromtimestamp(int(at), UTC))
        message["Message-ID"] = f"<{_atoms(name)}@{self.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        return message


def checked_address(address: str) -> str:
    """Return an e-mail address if it is a plain one: name@host in ASCII.

    Raises
    ------
    RecipientError
        It is not, as one that would smuggle in a header.
    """
    if len(address) > ADDRESS_CHARACTERS_MAX or not _ADDRESS.fullmatch(address):
        raise RecipientError(
            f"{address[:ADDRESS_CHARACTERS_MAX]!r} is no e-mail address", fix="Write name@host"
        )
    return address


def _told(notice: Notice) -> str:
    lines = [f"{_SUBJECTS[notice.kind].format(product=notice.product_id)}.", notice.text, ""]
    if notice.deadline_at is not None:
        lines.append(f"Deadline   {instant(notice.deadline_at)}")
    if notice.delivered is not None:
        one = notice.delivered
        lines += [
            f"Delivered  {instant(one.at)}",
            f"Product    {one.url}",
            f"Manifest   {one.manifest_url}",
            f"Rows       {one.rows}",
            f"SHA-256    {one.sha256}",
        ]
    return "\n".join(lines).rstrip()


def _atoms(name: str) -> str:
    """Return a name as a Message-ID may have it."""
    return re.sub(r"[^A-Za-z0-9._-]", "+", name).replace("..", ".+")
