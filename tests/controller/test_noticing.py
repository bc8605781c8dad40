"""What the planner wants told is written with its batch, once, whole enough to be sent."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from controller.config.serving import NotifySettings
from controller.notify.address_book import AddressBook
from controller.notify.guard import Guard
from controller.notify.letters import OPERATOR, StoredLetters
from controller.notify.notices import Notice
from controller.notify.tokens import read_opt_in
from controller.notifying import notifying
from controller.store.database import Database
from controller.store.store import Store
from planner.commands import AnyCommand, DeliverProduct, Notify, RunPart
from planner.events import Ticked
from planner.model import NoticeKind
from tests.controller.notify.mail_room import mail_room
from tests.controller.notify.receiver import receiving, status
from tests.controller.recorded import NOW, life
from tests.controller.stores import Place, place, server
from tests.planner.building import subscription

__all__ = ["place", "server"]


HERE = NotifySettings(
    private_addresses_allowed=True,
    smtp_from="slackwater@example.org",
    public_url="https://data.example.org/",
)


def told(database: Database) -> list[Notice]:
    letters = StoredLetters(database)
    letters.sort()
    due = letters.due(NOW + 1.0, 100, 100)
    return [letter.notice for letter in due if letter.notice is not None]


@pytest.mark.parametrize("kind", [RunPart, DeliverProduct])
def test_a_product_is_told_once_though_the_service_died(
    place: Place, kind: type[AnyCommand]
) -> None:
    with life(place, stalls=(kind,)) as dying:
        AddressBook(dying.database, Guard()).add_endpoint(OPERATOR, "https://ops.example.org/")
        dying.begin()
        assert told(dying.database) == []
    with life(place) as again:
        again.play()
        (notice,) = told(again.database)
        (task,) = again.tasks()
    assert notice.kind is NoticeKind.DELIVERED
    assert (notice.id, notice.task_id) == (task.product_id, task.id)
    assert notice.views == subscription().views
    assert notice.version == subscription().version
    assert notice.delivered is not None
    assert notice.delivered.url == "file:///p.nc"
    assert (notice.delivered.rows, notice.delivered.digest) == (2, "d")


def test_a_service_tells_its_products_as_its_settings_say(place: Place) -> None:
    with (
        life(place) as lived,
        receiving(status(200)) as receiver,
        notifying(HERE, lived.store) as notification,
    ):
        notification.book.add_endpoint("med", receiver.url)
        lived.begin()
        (task,) = lived.tasks()
        command = Notify(
            task_id=task.id,
            subscription_id="med",
            kind=NoticeKind.DELIVERED,
            slack_s=None,
            text="",
        )
        notification.see(Ticked(at=NOW), [command])
        assert receiver.next().headers["webhook-id"] == task.product_id


def test_an_address_is_asked_by_a_link_to_this_service(place: Place) -> None:
    with mail_room() as room, life(place) as lived:
        settings = replace(HERE, smtp_url=f"smtp://127.0.0.1:{room.port}")
        with notifying(settings, lived.store) as notification:
            person = notification.book.add_contact("med", "anna@example.org")
            notification.notifier.wake()
            text = room.next().get_content()
        token = text.partition("https://data.example.org/contacts/confirm?token=")[2].split()[0]
        asked = read_opt_in(notification.token_key, token, time.time())
        assert asked.contact_id == person.id
        with notifying(settings, lived.store) as again:
            assert again.token_key == notification.token_key


def test_who_has_lost_the_lease_sends_nothing(place: Place) -> None:
    with life(place) as lived, receiving(status(200)) as receiver:
        AddressBook(lived.database, Guard(private_addresses_allowed=True)).add_endpoint(
            "med", receiver.url
        )
        lived.begin()
        Store(lived.database, "another").take_lease()
        with notifying(HERE, lived.store) as notification:
            notification.notifier.wake()
        assert not notification.notifier.is_alive
        assert receiver.heard == 0
