"""What the planner wants told is written with its batch, once, whole enough to be sent."""

from __future__ import annotations

import pytest

from controller.notify.address_book import AddressBook
from controller.notify.guard import Guard
from controller.notify.letters import OPERATOR, StoredLetters
from controller.notify.notices import Notice
from controller.store.database import Database
from planner.commands import AnyCommand, DeliverProduct, RunPart
from planner.model import NoticeKind
from tests.controller.stores import Place, place, server
from tests.controller.test_recording import NOW, life
from tests.planner.building import subscription

__all__ = ["place", "server"]


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
