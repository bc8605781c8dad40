"""Who wants notices: webhooks and people's addresses, and the letters that nobody took."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controller.clock import now
from controller.errors import RecipientError
from controller.notify.guard import Guard
from controller.notify.letters import QUERIES
from controller.notify.messages import checked_address
from controller.notify.signing import SECRETS_MAX, Secret
from controller.notify.tokens import Asked
from controller.store.database import Connection, Database

ENDPOINTS_MAX = 10
"""Of a subscription: each notice goes to all of them."""

CONTACTS_MAX = 10
"""Of a subscription, for the same reason."""

ASK_AGAIN_S_MIN = 86400.0
"""An address that does not confirm is not asked more often [s]: it may be a stranger's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """A webhook as it is listed; its secrets are counted, not shown.

    Parameters
    ----------
    id, subscription_id, url : str
    state : str
        "active" or "disabled".
    reason : str
        Why it is disabled.
    made_at, changed_at : float
        [POSIX s]
    secrets : int
    """

    id: str
    subscription_id: str
    url: str
    state: str
    reason: str
    made_at: float
    changed_at: float
    secrets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    """A person's address as it is listed.

    Parameters
    ----------
    id, subscription_id, address : str
    state : str
        "pending", "confirmed" or "unsubscribed".
    made_at, changed_at, asked_at : float
        [POSIX s]
    """

    id: str
    subscription_id: str
    address: str
    state: str
    made_at: float
    changed_at: float
    asked_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A letter that nobody took.

    Parameters
    ----------
    id, notice_id, addressee_id : str
    channel : str
        "webhook" or "mail".
    attempts : int
    changed_at : float
        When it was given up [POSIX s].
    reason : str
        Of the last failure.
    subscription_id, address : str
        Whose, and to which URL or address.
    """

    id: str
    notice_id: str
    addressee_id: str
    channel: str
    attempts: int
    changed_at: float
    reason: str
    subscription_id: str
    address: str


class AddressBook:
    """Keeps who wants notices. Safe to call from any thread.

    Parameters
    ----------
    database : Database
    guard : Guard
        Judges the URLs that are named.
    clock : callable
        The time [POSIX s].
    """

    def __init__(self, database: Database, guard: Guard, clock: Callable[[], float] = now) -> None:
        self._database = database
        self._guard = guard
        self._clock = clock

    def add_endpoint(
        self, subscription_id: str, url: str, secret: Secret | None = None
    ) -> tuple[EndpointRow, Secret]:
        """Add a webhook; its secret is told this once, and made if none is brought.

        Raises
        ------
        RecipientError
            The URL may not be used, or the subscription has as many as it may.
        """
        target = self._guard.check(url)
        secret = secret or Secret.new()
        endpoint_id = f"e-{secrets.token_hex(8)}"
        row = {
            "id": endpoint_id,
            "subscription_id": subscription_id,
            "url": url,
            "lane": target.host,
            "secrets": secret.text,
            "now": self._clock(),
        }
        with self._database.transaction() as connection:
            there = connection.fetch(QUERIES["endpoints_of"], {"subscription_id": subscription_id})
            if len(there) >= ENDPOINTS_MAX:
                raise _too_many(subscription_id, "webhooks", ENDPOINTS_MAX)
            connection.change(QUERIES["add_endpoint"], row)
            return self._endpoint(connection, endpoint_id), secret

    def endpoints(self, subscription_id: str) -> list[EndpointRow]:
        """Return the webhooks of a subscription."""
        with self._database.reading() as connection:
            asked = {"subscription_id": subscription_id}
            return list(map(_endpoint, connection.fetch(QUERIES["endpoints_of"], asked)))

    def rotate_secret(self, endpoint_id: str) -> Secret:
        """Give a webhook a new secret beside those it has, the oldest beyond the limit apart."""
        secret = Secret.new()
        with self._database.transaction() as connection:
            kept = [secret.text, *self._secrets(connection, endpoint_id)][:SECRETS_MAX]
            self._set_secrets(connection, endpoint_id, kept)
        return secret

    def drop_old_secrets(self, endpoint_id: str) -> None:
        """End a rotation: only the newest secret of a webhook signs from now on."""
        with self._database.transaction() as connection:
            self._set_secrets(connection, endpoint_id, self._secrets(connection, endpoint_id)[:1])

    def enable_endpoint(self, endpoint_id: str) -> None:
        """Send to a webhook again that had said it was gone; its dead letters stay dead."""
        self._one("enable_endpoint", endpoint_id)

    def remove_endpoint(self, endpoint_id: str) -> None:
        """Forget a webhook and its letters."""
        self._remove("drop_endpoint", endpoint_id)

    def add_contact(self, subscription_id: str, address: str) -> ContactRow:
        """Add an address, and ask it whether it wants to be told; twice is once.

        Raises
        ------
        RecipientError
            It is no address, or the subscription has as many as it may.
        """
        checked_address(address)
        key = {"subscription_id": subscription_id, "address": address}
        with self._database.transaction() as connection:
            found = connection.fetch(QUERIES["contact"], key)
            if found:
                self._ask_again(connection, _contact(found[0]))
            else:
                self._add_contact(connection, subscription_id, address)
            (row,) = connection.fetch(QUERIES["contact"], key)
        return _contact(row)

    def contacts(self, subscription_id: str) -> list[ContactRow]:
        """Return the addresses of a subscription."""
        with self._database.reading() as connection:
            asked = {"subscription_id": subscription_id}
            return list(map(_contact, connection.fetch(QUERIES["contacts_of"], asked)))

    def confirm(self, asked: Asked) -> None:
        """Tell an address from now on; `asked` is what its token said.

        Raises
        ------
        RecipientError
            It was removed, or has unsubscribed since it was asked.
        """
        self._set_contact(asked, before="pending", state="confirmed")

    def unsubscribe(self, asked: Asked) -> None:
        """Tell an address nothing any more, also nothing that waits; twice is once.

        One that was removed before is told nothing anyway.
        """
        with self._database.transaction() as connection:
            for before in ("pending", "confirmed"):
                self._change_contact(connection, asked, before=before, state="unsubscribed")
            connection.change(QUERIES["drop_letters_to"], {"addressee_id": asked.contact_id})

    def remove_contact(self, contact_id: str) -> None:
        """Forget an address and its letters."""
        self._remove("drop_contact", contact_id)

    def dead_letters(self, after: str, limit: int) -> list[DeadLetter]:
        """Return a page of the letters that nobody took, those behind an id."""
        with self._database.reading() as connection:
            found = connection.fetch(QUERIES["dead"], {"after": after, "limit": limit})
        return [_dead(row) for row in found]

    def send_again(self, letter_id: str) -> bool:
        """Try a dead letter afresh; False if there is none, or its addressee wants nothing."""
        asked = {"id": letter_id, "now": self._clock()}
        with self._database.transaction() as connection:
            return connection.change(QUERIES["send_again"], asked) > 0

    def _add_contact(self, connection: Connection, subscription_id: str, address: str) -> None:
        asked = {"subscription_id": subscription_id}
        if len(connection.fetch(QUERIES["contacts_of"], asked)) >= CONTACTS_MAX:
            raise _too_many(subscription_id, "e-mail addresses", CONTACTS_MAX)
        now = self._clock()
        contact_id = f"c-{secrets.token_hex(8)}"
        row = {"id": contact_id, "address": address, "now": now, **asked}
        connection.change(QUERIES["add_contact"], row)
        self._ask(connection, contact_id, now)

    def _ask_again(self, connection: Connection, contact: ContactRow) -> None:
        now = self._clock()
        if contact.state != "confirmed" and now >= contact.asked_at + ASK_AGAIN_S_MIN:
            connection.change(QUERIES["ask_again"], {"id": contact.id, "now": now})
            self._ask(connection, contact.id, now)

    def _ask(self, connection: Connection, contact_id: str, now: float) -> None:
        letter_id = f"confirm:{int(now)}@{contact_id}"
        row = {"id": letter_id, "addressee_id": contact_id, "now": now}
        connection.change(QUERIES["add_question"], row)

    def _set_contact(self, asked: Asked, *, before: str, state: str) -> None:
        with self._database.transaction() as connection:
            if not self._change_contact(connection, asked, before=before, state=state):
                raise RecipientError(
                    "this address is not waiting to be confirmed", fix="Add it again"
                )

    def _change_contact(
        self, connection: Connection, asked: Asked, *, before: str, state: str
    ) -> int:
        row = {
            "id": asked.contact_id,
            "address": asked.address,
            "before": before,
            "state": state,
            "now": self._clock(),
        }
        return connection.change(QUERIES["set_contact"], row)

    def _endpoint(self, connection: Connection, endpoint_id: str) -> EndpointRow:
        found = connection.fetch(QUERIES["endpoint"], {"id": endpoint_id})
        if not found:
            raise _unknown(endpoint_id)
        return _endpoint(found[0])

    def _secrets(self, connection: Connection, endpoint_id: str) -> list[str]:
        found = connection.fetch(QUERIES["endpoint"], {"id": endpoint_id})
        if not found:
            raise _unknown(endpoint_id)
        return str(found[0][-1]).split()

    def _set_secrets(self, connection: Connection, endpoint_id: str, texts: list[str]) -> None:
        row = {"id": endpoint_id, "secrets": " ".join(texts), "now": self._clock()}
        connection.change(QUERIES["set_secrets"], row)

    def _one(self, query: str, id_: str) -> None:
        with self._database.transaction() as connection:
            if not connection.change(QUERIES[query], {"id": id_, "now": self._clock()}):
                raise _unknown(id_)

    def _remove(self, query: str, id_: str) -> None:
        with self._database.transaction() as connection:
            if not connection.change(QUERIES[query], {"id": id_}):
                raise _unknown(id_)
            connection.change(QUERIES["drop_letters_to"], {"addressee_id": id_})


def _endpoint(row: tuple[Any, ...]) -> EndpointRow:
    id_, subscription_id, url, state, reason, made_at, changed_at, texts = row
    return EndpointRow(
        id=id_,
        subscription_id=subscription_id,
        url=url,
        state=state,
        reason=reason,
        made_at=made_at,
        changed_at=changed_at,
        secrets=len(texts.split()),
    )


def _contact(row: tuple[Any, ...]) -> ContactRow:
    return ContactRow(**dict(zip(ContactRow.__slots__, row, strict=True)))


def _dead(row: tuple[Any, ...]) -> DeadLetter:
    return DeadLetter(**dict(zip(DeadLetter.__slots__, row, strict=True)))


def _unknown(id_: str) -> RecipientError:
    return RecipientError(f"there is no webhook or address {id_}", fix="List those there are")


def _too_many(subscription_id: str, what: str, most: int) -> RecipientError:
    return RecipientError(
        f"subscription {subscription_id} has {most} {what}, and may have no more",
        fix="Remove one first",
    )
