"""The letterbox in a store: who gets what, what is due first, and how letters end."""

from __future__ import annotations

import pytest

from controller.errors import StorageError
from controller.notify.address_book import AddressBook
from controller.notify.guard import Guard
from controller.notify.letters import OPERATOR, SORTED_MAX, StoredLetters
from controller.notify.messages import Contact
from controller.notify.outcomes import LetterState, Verdict
from controller.notify.tokens import Asked
from controller.notify.webhooks import Endpoint
from controller.store.database import Connection, Database
from tests.controller.notify.post_office import Clock, post, states
from tests.controller.notify.receiver import notice

LATER = 1790000000.0 + 86400.0


@pytest.fixture
def database(either: Database) -> Database:
    return either


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(database: Database, clock: Clock) -> AddressBook:
    return AddressBook(database, Guard(), clock)


@pytest.fixture
def letters(database: Database) -> StoredLetters:
    return StoredLetters(database)


def verdict(letter_id: str, addressee_id: str, state: LetterState, **more: object) -> Verdict:
    told = {"attempts": 1, "at": LATER, "due_at": LATER, "reason": "", **more}
    return Verdict(letter_id=letter_id, addressee_id=addressee_id, state=state, **told)  # type: ignore[arg-type]


def test_a_notice_becomes_a_letter_to_each_who_wants_it(
    database: Database, book: AddressBook, letters: StoredLetters
) -> None:
    mine, secret = book.add_endpoint("med", "https://hooks.example.org/a")
    everything, _ = book.add_endpoint(OPERATOR, "https://ops.example.org/")
    book.add_endpoint("natl", "https://hooks.example.org/b")
    person = book.add_contact("med", "anna@example.org")
    book.confirm(Asked(contact_id=person.id, address=person.address))
    book.add_contact("med", "unconfirmed@example.org")
    post(database, [notice(), notice()])
    letters.sort()
    letters.sort()
    found = {
        letter.to.id: letter for letter in letters.due(LATER, 100, 10) if letter.notice is not None
    }
    assert set(found) == {mine.id, everything.id, person.id}
    assert all(letter.notice == notice() for letter in found.values())
    assert found[mine.id].to == Endpoint(id=mine.id, url=mine.url, secrets=(secret,))
    assert found[mine.id].lane == "hooks.example.org"
    assert found[person.id].to == Contact(
        id=person.id, subscription_id="med", address="anna@example.org"
    )


def test_many_notices_are_sorted_in_several_transactions(
    database: Database, book: AddressBook, letters: StoredLetters
) -> None:
    book.add_endpoint("med", "https://hooks.example.org/a")
    post(database, [notice(f"med-v1-u{n}") for n in range(2 * SORTED_MAX + 1)])
    assert [letters.sort() for _ in range(4)] == [True, True, False, False]
    assert len(states(database)) == 2 * SORTED_MAX + 1


def test_a_lane_with_many_letters_does_not_hide_the_others(
    database: Database, book: AddressBook, letters: StoredLetters
) -> None:
    book.add_endpoint("busy", "https://busy.example.org/")
    book.add_endpoint("calm", "https://calm.example.org/")
    post(database, [notice(f"busy-v1-u{n}", at=float(n)) for n in range(50)])
    post(database, [notice("calm-v1-u1", at=1000.0)])
    letters.sort()
    due = letters.due(LATER, 10, 2)
    assert [letter.lane for letter in due] == ["busy.example.org"] * 2 + ["calm.example.org"]
    assert [letter.notice.id for letter in due if letter.notice] == [
        "busy-v1-u0",
        "busy-v1-u1",
        "calm-v1-u1",
    ]


def test_what_is_not_due_waits(
    database: Database, book: AddressBook, letters: StoredLetters
) -> None:
    end, _ = book.add_endpoint("med", "https://hooks.example.org/a")
    post(database, [notice()])
    letters.sort()
    name = f"med-v1-u2@{end.id}"
    letters.record([verdict(name, end.id, LetterState.WAITING, due_at=LATER + 300, attempts=3)])
    assert letters.due(LATER + 299, 10, 2) == []
    (letter,) = letters.due(LATER + 300, 10, 2)
    assert letter.attempts == 3


def test_an_endpoint_that_is_gone_gets_nothing_more_until_it_is_enabled(
    database: Database, book: AddressBook, letters: StoredLetters
) -> None:
    end, _ = book.add_endpoint("med", "https://hooks.example.org/a")
    post(database, [notice("med-v1-u1"), notice("med-v1-u2")])
    letters.sort()
    first, second = sorted(states(database))
    gone = verdict(first, end.id, LetterState.DEAD, reason="it answered 410 Gone", disables=True)
    letters.record([gone])
    (disabled,) = book.endpoints("med")
    assert (disabled.id, disabled.state) == (end.id, "disabled")
    assert disabled.reason == "it answered 410 Gone"
    assert states(database) == {first: "dead", second: "dead"}
    post(database, [notice("med-v1-u3")])
    letters.sort()
    assert len(states(database)) == 2
    assert not book.send_again(first)
    book.enable_endpoint(end.id)
    assert book.send_again(first)
    assert book.send_again(second)
    assert len(letters.due(LATER, 10, 10)) == 2


def test_dead_letters_are_listed_by_page_and_sent_again_from_the_start(
    database: Database, book: AddressBook, letters: StoredLetters, clock: Clock
) -> None:
    end, _ = book.add_endpoint("med", "https://hooks.example.org/a")
    post(database, [notice(f"med-v1-u{n}") for n in range(3)])
    letters.sort()
    letters.record(
        [
            verdict(name, end.id, LetterState.DEAD, reason="it answered 500", attempts=10)
            for name in states(database)
        ]
    )
    first = book.dead_letters("", 2)
    rest = book.dead_letters(first[-1].id, 2)
    assert [dead.notice_id for dead in (*first, *rest)] == ["med-v1-u0", "med-v1-u1", "med-v1-u2"]
    assert first[0].address == "https://hooks.example.org/a"
    assert (first[0].reason, first[0].attempts) == ("it answered 500", 10)
    clock.now = LATER
    assert book.send_again(first[0].id)
    assert not book.send_again(first[0].id)
    (letter,) = letters.due(LATER, 10, 10)
    assert (letter.id, letter.attempts) == (first[0].id, 0)
    assert sorted(states(database).values()) == ["dead", "dead", "waiting"]


def test_what_is_settled_is_forgotten_in_time_and_what_is_dead_is_kept(
    database: Database, book: AddressBook, letters: StoredLetters
) -> None:
    end, _ = book.add_endpoint("med", "https://hooks.example.org/a")
    post(database, [notice("med-v1-u1"), notice("med-v1-u2"), notice("alone-v1-u1")])
    letters.sort()
    first, second = sorted(states(database))
    letters.record(
        [verdict(first, end.id, LetterState.SETTLED), verdict(second, end.id, LetterState.DEAD)]
    )
    assert letters.forget(LATER) == 0
    assert letters.forget(LATER + 1) == 1
    assert states(database) == {second: "dead"}
    with database.reading() as connection:
        assert connection.fetch("SELECT id FROM notices", {}) == [("med-v1-u2",)]


def test_a_service_that_was_taken_for_dead_records_nothing(
    database: Database, book: AddressBook
) -> None:
    def fence(connection: Connection) -> None:
        raise StorageError("another service has taken over")

    end, _ = book.add_endpoint("med", "https://hooks.example.org/a")
    post(database, [notice()])
    StoredLetters(database).sort()
    fenced = StoredLetters(database, fence)
    with pytest.raises(StorageError):
        fenced.record([verdict(f"med-v1-u2@{end.id}", end.id, LetterState.SETTLED)])
    assert set(states(database).values()) == {"waiting"}
