"""The notifier at work: real receivers, a store, and a clock that is set by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.errors import Fenced, StorageError
from controller.notify.address_book import AddressBook
from controller.notify.carrier import Carrier
from controller.notify.guard import Guard
from controller.notify.letterbox import Letter
from controller.notify.letters import StoredLetters
from controller.notify.mail import Mailer, MailServer
from controller.notify.notifier import Limits, Notifier
from controller.notify.outcomes import DELAYS_S, Verdict
from controller.notify.tokens import read_opt_in
from controller.notify.webhooks import WebhookSender
from controller.store.database import Connection, Database
from controller.store.schema import upgrade
from controller.store.sqlite import SqliteDatabase
from tests.controller.notify.mail_room import mail_room
from tests.controller.notify.post_office import Clock, post, states
from tests.controller.notify.receiver import (
    WAIT_S,
    Handler,
    Receiver,
    in_turn,
    notice,
    receiving,
    status,
)
from tests.controller.notify.test_mail import KEY, LETTERHEAD

HERE = Guard(private_addresses_allowed=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(database: Database, clock: Clock) -> AddressBook:
    return AddressBook(database, HERE, clock)


class Seen(StoredLetters):
    """A letterbox that lets a test wait for what is written into it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.recorded: list[Verdict] = []
        self.changed = threading.Condition()

    def record(self, verdicts: Sequence[Verdict]) -> None:
        super().record(verdicts)
        with self.changed:
            self.recorded += verdicts
            self.changed.notify_all()

    def wait_for(self, count: int) -> list[Verdict]:
        """Return the verdicts, once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.recorded) >= count, WAIT_S)
            return list(self.recorded)


@contextmanager
def at_work(
    letters: StoredLetters, clock: Callable[[], float], mailer: Mailer | None = None, **more: float
) -> Iterator[Notifier]:
    notifier = Notifier(
        letters,
        Carrier(webhooks=WebhookSender(guard=HERE), mailer=mailer),
        limits=Limits(poll_s=0.05, **more),  # type: ignore[arg-type]
        clock=clock,
        chance=lambda: 0.5,
    )
    try:
        yield notifier
    finally:
        notifier.close()


def test_a_notice_is_told_and_told_once(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    letters = Seen(database)
    with receiving(status(200)) as receiver, at_work(letters, clock) as notifier:
        book.add_endpoint("med", receiver.url)
        post(database, [notice(at=clock.now)])
        notifier.wake()
        assert receiver.next().headers["webhook-id"] == "med-v1-u2"
        letters.wait_for(1)
        post(database, [notice(at=clock.now)])
        notifier.wake()
        post(database, [notice("med-v1-u3", at=clock.now)])
        notifier.wake()
        assert receiver.next().headers["webhook-id"] == "med-v1-u3"
        letters.wait_for(2)
        assert receiver.heard == 0
    assert set(states(database).values()) == {"settled"}


def test_a_receiver_that_fails_is_tried_over_days_with_the_same_id_then_no_more(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    letters = Seen(database)
    with receiving(status(503)) as receiver, at_work(letters, clock) as notifier:
        end, _ = book.add_endpoint("med", receiver.url)
        post(database, [notice(at=clock.now)])
        for attempt, delay_s in enumerate(DELAYS_S, start=1):
            notifier.wake()
            last = letters.wait_for(attempt)[-1]
            assert last.due_at == pytest.approx(clock.now + delay_s * 1.1)
            clock.now = last.due_at
        notifier.wake()
        letters.wait_for(len(DELAYS_S) + 1)
        requests = [receiver.next() for _ in range(len(DELAYS_S) + 1)]
        assert receiver.heard == 0
        assert {one.headers["webhook-id"] for one in requests} == {"med-v1-u2"}
        assert len({one.body for one in requests}) == 1
        (dead,) = book.dead_letters("", 10)
        assert (dead.addressee_id, dead.attempts) == (end.id, 10)
        assert dead.reason == "it answered 503"
        assert clock.now - 1790000000.0 > 3 * 86400


def test_an_operator_sends_a_dead_letter_again(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    letters = Seen(database)
    script = in_turn(status(410), status(200))
    with receiving(script) as receiver, at_work(letters, clock) as notifier:
        end, _ = book.add_endpoint("med", receiver.url)
        post(database, [notice(at=clock.now)])
        notifier.wake()
        letters.wait_for(1)
        assert [one.state for one in book.endpoints("med")] == ["disabled"]
        (dead,) = book.dead_letters("", 10)
        book.enable_endpoint(end.id)
        assert book.send_again(dead.id)
        notifier.wake()
        letters.wait_for(2)
        ids = [receiver.next().headers["webhook-id"] for _ in range(2)]
        assert ids == ["med-v1-u2"] * 2
    assert book.dead_letters("", 10) == []


def test_a_receiver_that_hangs_delays_nobody_else(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    """Its letters are first in line, and far more than there are attempts at the same time."""
    let_go = threading.Event()
    letters = Seen(database)

    def hang(handler: Handler) -> None:
        let_go.wait(WAIT_S)
        status(200)(handler)

    with receiving(hang) as slow, receiving(status(200), host="localhost") as quick:
        book.add_endpoint("slow", slow.url)
        book.add_endpoint("quick", quick.url)
        post(database, [notice(f"slow-v1-u{n}", at=float(n)) for n in range(200)])
        post(database, [notice(f"quick-v1-u{n}", at=1000.0 + n) for n in range(20)])
        with at_work(letters, clock, sends_max=4, lane_sends_max=2):
            for _ in range(20):
                quick.next()
            told = letters.wait_for(20)
            assert all(one.letter_id.startswith("quick") for one in told)
            assert slow.heard == 2
            let_go.set()


def test_what_is_under_way_at_the_end_is_sent_again_by_the_next(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    letters = Seen(database)
    ended: list[Receiver] = []

    def hang(handler: Handler) -> None:
        ended[0].ended.wait(WAIT_S)

    script = in_turn(hang, status(200))
    with receiving(script) as receiver:
        ended.append(receiver)
        book.add_endpoint("med", receiver.url)
        post(database, [notice(at=clock.now)])
        with at_work(letters, clock, close_s_max=0.1):
            first = receiver.next()
            began = time.monotonic()
        assert time.monotonic() - began < 5.0
        assert letters.recorded == []
        with at_work(letters, clock):
            again = receiver.next()
            letters.wait_for(1)
        assert first.headers["webhook-id"] == again.headers["webhook-id"]
        assert first.body == again.body


class Full(Seen):
    """A letterbox whose disk is full until there is room."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.has_room = threading.Event()
        self.was_full = threading.Event()

    def record(self, verdicts: Sequence[Verdict]) -> None:
        if not self.has_room.is_set():
            self.was_full.set()
            raise StorageError("store is full")
        super().record(verdicts)


def test_while_the_store_is_full_nothing_is_sent_twice(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    letters = Full(database)
    with receiving(status(200)) as receiver, at_work(letters, clock) as notifier:
        book.add_endpoint("med", receiver.url)
        post(database, [notice(at=clock.now)])
        notifier.wake()
        assert letters.was_full.wait(WAIT_S)
        letters.was_full.clear()
        assert letters.was_full.wait(WAIT_S)
        letters.has_room.set()
        letters.wait_for(1)
        assert notifier.is_alive
        receiver.next()
        assert receiver.heard == 0


def test_where_another_service_took_over_no_more_is_sent(
    database: Database, book: AddressBook, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def fence(connection: Connection) -> None:
        raise Fenced("another service has taken over the store")

    with receiving(status(200)) as receiver:
        book.add_endpoint("med", receiver.url)
        post(database, [notice(at=clock.now)])
        notifier = Notifier(
            StoredLetters(database, fence), Carrier(webhooks=WebhookSender(guard=HERE)), clock=clock
        )
        notifier._thread.join(WAIT_S)
        assert not notifier.is_alive
        assert receiver.heard == 0
        notifier.close()
    assert "no more notices are sent from here" in caplog.text


class Broken(Carrier):
    """A carrier with a bug."""

    def carry(self, letter: Letter, allowance: object) -> object:  # type: ignore[override]
        raise AssertionError("a bug")


def test_a_bug_in_sending_is_a_failure_that_is_retried_with_pauses(
    database: Database, book: AddressBook, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_value))
    letters = Seen(database)
    book.add_endpoint("med", "https://hooks.example.org/")
    post(database, [notice(at=clock.now)])
    notifier = Notifier(letters, Broken(webhooks=WebhookSender(guard=HERE)), clock=clock)
    try:
        (told,) = letters.wait_for(1)
    finally:
        notifier.close()
    assert told.reason == "a fault of slackwater; see its log"
    assert told.due_at >= clock.now + DELAYS_S[0]
    assert isinstance(seen[0], AssertionError)


def test_an_address_confirms_and_is_told_by_mail(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    letters = Seen(database)
    with mail_room("450 greylisted") as room:
        server = MailServer.of(f"smtp://127.0.0.1:{room.port}")
        mailer = Mailer(server=server, letterhead=LETTERHEAD, clock=clock)
        with at_work(letters, clock, mailer) as notifier:
            book.add_contact("med", "anna@example.org")
            notifier.wake()
            (first,) = letters.wait_for(1)
            clock.now = first.due_at
            notifier.wake()
            link = room.next().get_content().partition("token=")[2].split()[0]
            letters.wait_for(2)
            book.confirm(read_opt_in(KEY, link, clock.now))
            post(database, [notice(at=clock.now)])
            notifier.wake()
            assert room.next()["Subject"] == "med-v1-u2 is delivered"


def test_without_a_mail_server_mail_waits(
    database: Database, book: AddressBook, clock: Clock
) -> None:
    letters = Seen(database)
    with at_work(letters, clock) as notifier:
        book.add_contact("med", "anna@example.org")
        notifier.wake()
        (told,) = letters.wait_for(1)
    assert told.reason == "no mail server is set (notify.smtp_url)"


def test_after_a_kill_every_notice_is_told_with_its_id(tmp_path: Path, clock: Clock) -> None:
    """A store is reopened as a crash leaves it: sent, but not recorded."""
    path = tmp_path / "killed.db"
    first = SqliteDatabase(path)
    upgrade(first, "killed.db")
    with receiving(status(200)) as receiver:
        AddressBook(first, HERE, clock).add_endpoint("med", receiver.url)
        post(first, [notice("med-v1-u1", at=clock.now), notice("med-v1-u2", at=clock.now)])
        letters = Full(first)
        with at_work(letters, clock):
            told = {receiver.next().headers["webhook-id"] for _ in range(2)}
        first.close()
        second = SqliteDatabase(path)
        again = Seen(second)
        with at_work(again, clock):
            again.wait_for(2)
        assert {receiver.next().headers["webhook-id"] for _ in range(2)} == told
        assert told == {"med-v1-u1", "med-v1-u2"}
        second.close()
