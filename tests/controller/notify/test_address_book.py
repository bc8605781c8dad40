"""Who wants notices: webhooks with their secrets, and people who said so themselves."""

from __future__ import annotations

import pytest

from controller.errors import RecipientError
from controller.notify.address_book import (
    ASK_AGAIN_S_MIN,
    CONTACTS_MAX,
    ENDPOINTS_MAX,
    AddressBook,
)
from controller.notify.guard import Guard
from controller.notify.letters import StoredLetters
from controller.notify.messages import checked_address
from controller.notify.signing import SECRETS_MAX, Secret
from controller.notify.tokens import Asked
from controller.notify.webhooks import Endpoint
from controller.store.database import Database
from tests.controller.notify.post_office import Clock, post, states
from tests.controller.notify.receiver import notice


@pytest.fixture
def database(either: Database) -> Database:
    return either


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(database: Database, clock: Clock) -> AddressBook:
    return AddressBook(database, Guard(), clock)


def signing(database: Database, clock: Clock) -> tuple[Secret, ...]:
    (letter,) = StoredLetters(database).due(clock.now, 10, 10)
    assert isinstance(letter.to, Endpoint)
    return letter.to.secrets


def test_secrets_are_rotated_without_a_gap(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    end, old = book.add_endpoint("med", "https://hooks.example.org/")
    post(database, [notice(at=clock.now)])
    StoredLetters(database).sort()
    new = book.rotate_secret(end.id)
    assert signing(database, clock) == (new, old)
    assert book.endpoints("med")[0].secrets == 2
    book.drop_old_secrets(end.id)
    assert signing(database, clock) == (new,)
    for _ in range(SECRETS_MAX + 1):
        newest = book.rotate_secret(end.id)
    assert len(signing(database, clock)) == SECRETS_MAX
    assert signing(database, clock)[0] == newest


def test_a_subscriber_may_bring_a_secret(book: AddressBook) -> None:
    mine = Secret.new()
    assert book.add_endpoint("med", "https://hooks.example.org/", mine)[1] == mine


def test_a_url_that_leads_inside_is_refused_when_it_is_named(book: AddressBook) -> None:
    with pytest.raises(RecipientError):
        book.add_endpoint("med", "https://127.0.0.1/")
    assert book.endpoints("med") == []


def test_a_subscription_has_a_bounded_number_of_each(book: AddressBook) -> None:
    for n in range(ENDPOINTS_MAX):
        book.add_endpoint("med", f"https://hooks.example.org/{n}")
    with pytest.raises(RecipientError, match="no more"):
        book.add_endpoint("med", "https://hooks.example.org/more")
    for n in range(CONTACTS_MAX):
        book.add_contact("med", f"anna{n}@example.org")
    with pytest.raises(RecipientError, match="no more"):
        book.add_contact("med", "anna@example.org")


def test_an_address_is_asked_once_and_again_only_after_a_day(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    person = book.add_contact("med", "anna@example.org")
    clock.now += ASK_AGAIN_S_MIN - 1
    assert book.add_contact("med", "anna@example.org") == person
    assert len(states(database)) == 1
    clock.now += 1
    assert book.add_contact("med", "anna@example.org").id == person.id
    assert len(states(database)) == 2
    (first, second) = StoredLetters(database).due(clock.now, 10, 10)
    assert first.notice is second.notice is None


def test_only_a_confirmed_address_is_told_and_only_until_it_unsubscribes(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    person = book.add_contact("med", "anna@example.org")
    asked = Asked(contact_id=person.id, address=person.address)
    letters = StoredLetters(database)
    post(database, [notice("med-v1-u1")])
    letters.sort()
    book.confirm(asked)
    book.confirm(asked)
    post(database, [notice("med-v1-u2")])
    letters.sort()
    told = [letter.notice for letter in letters.due(clock.now + 1, 10, 10) if letter.notice]
    assert told == [notice("med-v1-u2")]
    book.unsubscribe(asked)
    book.unsubscribe(asked)
    post(database, [notice("med-v1-u3")])
    letters.sort()
    assert letters.due(clock.now + 1, 10, 10) == []
    assert [one.state for one in book.contacts("med")] == ["unsubscribed"]
    with pytest.raises(RecipientError, match="not waiting"):
        book.confirm(asked)


def test_a_token_for_another_address_confirms_nothing(book: AddressBook) -> None:
    person = book.add_contact("med", "anna@example.org")
    with pytest.raises(RecipientError):
        book.confirm(Asked(contact_id=person.id, address="eve@example.org"))


def test_who_is_removed_is_forgotten_with_all_letters(
    database: Database, book: AddressBook
) -> None:
    end, _ = book.add_endpoint("med", "https://hooks.example.org/")
    person = book.add_contact("med", "anna@example.org")
    post(database, [notice()])
    StoredLetters(database).sort()
    book.remove_endpoint(end.id)
    book.remove_contact(person.id)
    assert states(database) == {}
    for again in (book.remove_endpoint, book.remove_contact, book.enable_endpoint):
        with pytest.raises(RecipientError, match="no webhook or address"):
            again("e-gone")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anna",
        "anna@",
        "@example.org",
        "anna@example.org\r\nBcc: all@example.org",
        "anna@example.org\n",
        "anna@example.org, eve@example.org",
        "Anna <anna@example.org>",
        '"a b"@example.org',
        "anna@[127.0.0.1]",
        "an na@example.org",
        "anna@-example.org",
        "änna@example.org",
        "a" * 250 + "@example.org",
    ],
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    with pytest.raises(RecipientError):
        checked_address(address)
