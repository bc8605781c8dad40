"""Who is told over HTTP: webhooks and addresses of a subscription, and the letters nobody took."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from controller.api.door import Door, TheDoor
from controller.api.pages import Paged
from controller.api.problems import Problem, not_found
from controller.api.scopes import Caller
from controller.api.shapes import Link
from controller.api.who import Operator, Subscriber
from controller.config.iso8601 import instant_text
from controller.notify.address_book import AddressBook, ContactRow, DeadLetter, EndpointRow
from controller.notify.letters import OPERATOR
from controller.notify.tokens import read_opt_in, read_unsubscribe

router = APIRouter(prefix="/v1", tags=["recipients"])
links = APIRouter(tags=["recipients"])
"""Where the links in mails lead: whoever has one was sent it, and needs no key."""

ALL = OPERATOR
"""In the place of a subscription's name: the notices of all, which only operators may have."""


class WebhookTold(BaseModel):
    """A webhook; its secret is told once, to who made or rotated it."""

    id: str
    url: str
    state: str
    reason: str
    made_at: str
    secrets: int
    secret: str | None = None


class ContactTold(BaseModel):
    """A person's address, which is told nothing until it has confirmed."""

    id: str
    address: str
    state: str
    made_at: str


class DeadLetterTold(BaseModel):
    """A letter that nobody took."""

    id: str
    notice: str
    subscription: str
    channel: str
    address: str
    attempts: int
    changed_at: str
    reason: str


class Webhooks(BaseModel):
    """The webhooks of a subscription."""

    items: list[WebhookTold]


class Contacts(BaseModel):
    """The addresses of a subscription."""

    items: list[ContactTold]


class DeadLetterPage(BaseModel):
    """Dead letters, a page at a time."""

    items: list[DeadLetterTold]
    links: list[Link]


Url = Annotated[str, Body(embed=True)]
Address = Annotated[str, Body(embed=True)]


@router.get("/subscriptions/{name}/webhooks", response_model=Webhooks)
def webhooks(door: TheDoor, name: str, caller: Subscriber) -> dict[str, Any]:
    """List the webhooks of a subscription; of ``*``, those that hear of all."""
    book = _book(door, name, caller)
    return {"items": [_webhook(row) for row in book.endpoints(name)]}


@router.post(
    "/subscriptions/{name}/webhooks", status_code=HTTPStatus.CREATED, response_model=WebhookTold
)
def add_webhook(door: TheDoor, name: str, url: Url, caller: Subscriber) -> dict[str, Any]:
    """Add a webhook; the answer holds the secret that verifies its messages, this once."""
    row, secret = _book(door, name, caller).add_endpoint(name, url)
    return {**_webhook(row), "secret": secret.text}


@router.post("/subscriptions/{name}/webhooks/{webhook}/secret", response_model=WebhookTold)
def rotate_secret(door: TheDoor, name: str, webhook: str, caller: Subscriber) -> dict[str, Any]:
    """Give a webhook a new secret; the old ones sign beside it until they are dropped."""
    book, row = _endpoint(door, name, webhook, caller)
    return {**_webhook(row), "secrets": row.secrets + 1, "secret": book.rotate_secret(row.id).text}


@router.delete("/subscriptions/{name}/webhooks/{webhook}/secret", status_code=HTTPStatus.NO_CONTENT)
def drop_old_secrets(door: TheDoor, name: str, webhook: str, caller: Subscriber) -> None:
    """Let only the newest secret of a webhook sign from now on."""
    book, row = _endpoint(door, name, webhook, caller)
    book.drop_old_secrets(row.id)


@router.post("/subscriptions/{name}/webhooks/{webhook}/enable", response_model=WebhookTold)
def enable_webhook(door: TheDoor, name: str, webhook: str, caller: Subscriber) -> dict[str, Any]:
    """Send to a webhook again that had said it was gone."""
    book, row = _endpoint(door, name, webhook, caller)
    book.enable_endpoint(row.id)
    return _webhook(_endpoint(door, name, webhook, caller)[1])


@router.delete("/subscriptions/{name}/webhooks/{webhook}", status_code=HTTPStatus.NO_CONTENT)
def remove_webhook(door: TheDoor, name: str, webhook: str, caller: Subscriber) -> None:
    """Forget a webhook and its letters."""
    book, row = _endpoint(door, name, webhook, caller)
    book.remove_endpoint(row.id)


@router.get("/subscriptions/{name}/contacts", response_model=Contacts)
def contacts(door: TheDoor, name: str, caller: Subscriber) -> dict[str, Any]:
    """List the addresses of a subscription."""
    return {"items": [_contact(row) for row in _book(door, name, caller).contacts(name)]}


@router.post(
    "/subscriptions/{name}/contacts", status_code=HTTPStatus.CREATED, response_model=ContactTold
)
def add_contact(door: TheDoor, name: str, address: Address, caller: Subscriber) -> dict[str, Any]:
    """Add an address, which is asked first whether it wants to be told."""
    return _contact(_book(door, name, caller).add_contact(name, address))


@router.delete("/subscriptions/{name}/contacts/{contact}", status_code=HTTPStatus.NO_CONTENT)
def remove_contact(door: TheDoor, name: str, contact: str, caller: Subscriber) -> None:
    """Forget an address and its letters."""
    book = _book(door, name, caller)
    if contact not in {row.id for row in book.contacts(name)}:
        raise not_found("contact", contact)
    book.remove_contact(contact)


@router.get("/dead-letters", response_model=DeadLetterPage)
def dead_letters(door: TheDoor, _: Operator, page: Paged) -> Any:
    """List the letters that nobody took after the last attempt."""
    (after,) = page.after("")
    rows = _notices(door).book.dead_letters(after, page.limit)
    return page.told([_dead(row) for row in rows], *(row.id for row in rows[-1:]))


@router.post("/dead-letters/{letter}/send", status_code=HTTPStatus.ACCEPTED)
def send_again(door: TheDoor, letter: str, _: Operator) -> None:
    """Try a dead letter afresh."""
    notices = _notices(door)
    if not notices.book.send_again(letter):
        raise not_found("dead letter", letter)
    notices.notifier.wake()


@links.get("/contacts/confirm", response_class=PlainTextResponse)
def confirm(door: TheDoor, token: Annotated[str, Query()]) -> str:
    """Confirm an address: where the link of the question leads."""
    notices = _notices(door)
    notices.book.confirm(read_opt_in(notices.token_key, token, door.clock()))
    return "Thank you. This address is told from now on.\n"


@links.get("/contacts/unsubscribe", response_class=PlainTextResponse)
@links.post("/contacts/unsubscribe", response_class=PlainTextResponse)
def unsubscribe(door: TheDoor, token: Annotated[str, Query()]) -> str:
    """Tell an address nothing any more: where a mail's link leads, and its one-click header."""
    notices = _notices(door)
    notices.book.unsubscribe(read_unsubscribe(notices.token_key, token))
    return "This address is told nothing any more.\n"


def _notices(door: Door) -> Any:
    if door.notification is None:
        raise Problem(HTTPStatus.NOT_IMPLEMENTED, "this service tells nobody")
    return door.notification


def _book(door: Door, name: str, caller: Caller) -> AddressBook:
    """Return the address book, if the caller may see a subscription's page of it."""
    book: AddressBook = _notices(door).book
    if name == ALL:
        if caller.sees():
            raise Problem(HTTPStatus.FORBIDDEN, "only operators are told of all subscriptions")
        return book
    row = door.subscription(name)
    if row is None or caller.sees() not in ("", row.owner):
        raise not_found("subscription", name)
    return book


def _endpoint(
    door: Door, name: str, webhook: str, caller: Caller
) -> tuple[AddressBook, EndpointRow]:
    book = _book(door, name, caller)
    for row in book.endpoints(name):
        if row.id == webhook:
            return book, row
    raise not_found("webhook", webhook)


def _webhook(row: EndpointRow) -> dict[str, Any]:
    told = asdict(row)
    del told["subscription_id"], told["changed_at"]
    return {**told, "made_at": instant_text(row.made_at)}


def _contact(row: ContactRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "address": row.address,
        "state": row.state,
        "made_at": instant_text(row.made_at),
    }


def _dead(row: DeadLetter) -> dict[str, Any]:
    return {
        "id": row.id,
        "notice": row.notice_id,
        "subscription": row.subscription_id,
        "channel": row.channel,
        "address": row.address,
        "attempts": row.attempts,
        "changed_at": instant_text(row.changed_at),
        "reason": row.reason,
    }
