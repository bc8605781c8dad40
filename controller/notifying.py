"""Wires notification into a service: from its settings and its store to a notifier at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from controller.config.serving import NotifySettings
from controller.errors import Fenced
from controller.notify.address_book import AddressBook
from controller.notify.carrier import Carrier
from controller.notify.guard import Guard
from controller.notify.letters import StoredLetters, token_key
from controller.notify.mail import Mailer, MailServer
from controller.notify.messages import Letterhead
from controller.notify.notifier import Limits, Notifier
from controller.notify.outcomes import Schedule
from controller.notify.webhooks import WebhookSender
from controller.store.database import Connection
from controller.store.named import queries
from controller.store.store import Store
from planner.commands import AnyCommand, Notify
from planner.events import AnyEvent

CONFIRM_PATH = "/contacts/confirm?token="
"""Behind `notify.public_url`: the page that confirms an address."""

UNSUBSCRIBE_PATH = "/contacts/unsubscribe?token="
"""Behind `notify.public_url`: the page that ends e-mail; a POST there does so at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Notification at work.

    Parameters
    ----------
    notifier : Notifier
    book : AddressBook
        Who wants notices, and the dead letters.
    token_key : bytes
        Reads the tokens of links.
    """

    notifier: Notifier
    book: AddressBook
    token_key: bytes

    def __repr__(self) -> str:
        """Show that it is at work, not what signs."""
        return f"Notification(is_alive={self.notifier.is_alive})"

    def see(self, event: AnyEvent, commands: list[AnyCommand]) -> None:
        """Wake the notifier where a step has something to tell; a `controller.service.Watch`."""
        if any(isinstance(command, Notify) for command in commands):
            self.notifier.wake()


@contextmanager
def notifying(settings: NotifySettings, store: Store) -> Iterator[Notification]:
    """Send notices inside the block.

    Parameters
    ----------
    settings : NotifySettings
    store : Store
        Whose lease this service holds: who has lost it sends no more.

    Raises
    ------
    RecipientError
        The mail server's URL or the sender's address cannot be.
    """
    guard = Guard(
        private_addresses_allowed=settings.private_addresses_allowed,
        hosts_allowed=settings.hosts_allowed,
    )
    database = store.database
    key = token_key(database)
    notifier = Notifier(
        StoredLetters(database, fence_of(store)),
        Carrier(webhooks=WebhookSender(guard=guard), mailer=_mailer(settings, key)),
        schedule=Schedule(delays_s=settings.webhook_attempts_s),
        limits=Limits(attempt_s_max=settings.webhook_timeout_s),
    )
    try:
        yield Notification(notifier=notifier, book=AddressBook(database, guard), token_key=key)
    finally:
        notifier.close()


def fence_of(store: Store) -> Callable[[Connection], None]:
    """Return what refuses a transaction of a service that has lost its lease."""
    statement = queries("controller.store")["read_lease"]

    def fence(connection: Connection) -> None:
        ((epoch, *_),) = connection.fetch(statement, {})
        if int(epoch) != store.epoch:
            raise Fenced("another service has taken over the store")

    return fence


def _mailer(settings: NotifySettings, key: bytes) -> Mailer | None:
    if not settings.smtp_url:
        return None
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else ""
    base = settings.public_url.rstrip("/")
    return Mailer(
        server=MailServer.of(settings.smtp_url, password),
        letterhead=Letterhead(
            sender=settings.smtp_from,
            confirm_url=base + CONFIRM_PATH,
            unsubscribe_url=base + UNSUBSCRIBE_PATH,
            token_key=key,
        ),
    )
