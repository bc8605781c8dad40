"""Who is told, over HTTP: webhooks and addresses of one's own, and the letters nobody took."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.api.scopes import Scope
from controller.config.serving import NotifySettings
from controller.notify.tokens import Asked, opt_in_token, unsubscribe_token
from controller.notifying import notifying
from tests.controller.api.fronted import WISH, Front, fronted, wait_for
from tests.controller.notify.receiver import receiving, status
from tests.controller.recorded import NOW
from tests.controller.stores import Place, place, server

__all__ = ["place", "server"]

HOOKS = "/v1/subscriptions/med/webhooks"
SETTINGS = NotifySettings(hosts_allowed=("127.0.0.1",), webhook_attempts_s=())


@pytest.fixture
def front(place: Place, tmp_path: Path) -> Iterator[Front]:
    with fronted(place, tmp_path) as front, notifying(SETTINGS, front.life.store) as notification:
        front.door.notification = notification
        front.life.watch = notification.see
        yield front


def test_a_webhook_is_added_told_rotated_and_forgotten(front: Front) -> None:
    with receiving(status(200)) as receiver:
        assert front.client.post(HOOKS, json={"url": receiver.url}).status_code == 404
        front.client.post("/v1/subscriptions", json={**WISH, "backfill": False})
        added = front.client.post(HOOKS, json={"url": receiver.url})
        assert added.status_code == 201, added.text
        assert added.json()["secret"].startswith("whsec_")
        (listed,) = front.client.get(HOOKS).json()["items"]
        assert (listed["url"], listed["state"], listed["secret"]) == (receiver.url, "active", None)
        front.client.post("/v1/subscriptions/med/full")
        assert receiver.next().headers["webhook-id"] == "med-v1-to-u0"
        rotated = front.client.post(f"{HOOKS}/{listed['id']}/secret").json()
        assert rotated["secrets"] == 2
        assert rotated["secret"] != added.json()["secret"]
        assert front.client.delete(f"{HOOKS}/{listed['id']}/secret").status_code == 204
        assert front.client.get(HOOKS).json()["items"][0]["secrets"] == 1
        assert front.client.delete(f"{HOOKS}/{listed['id']}").status_code == 204
        assert front.client.get(HOOKS).json()["items"] == []
        assert front.client.delete(f"{HOOKS}/{listed['id']}").status_code == 404


def test_where_a_webhook_may_not_lead_is_told(front: Front) -> None:
    front.client.post("/v1/subscriptions", json=WISH)
    refused = front.client.post(HOOKS, json={"url": "http://10.0.0.1/hook"})
    assert refused.status_code == 422
    assert "10.0.0.1" in refused.json()["detail"]


def test_an_address_confirms_and_unsubscribes_by_its_links(front: Front) -> None:
    front.client.post("/v1/subscriptions", json=WISH)
    path = "/v1/subscriptions/med/contacts"
    made = front.client.post(path, json={"address": "ada@example.org"}).json()
    assert made["state"] == "pending"
    notification = front.door.notification
    assert notification is not None
    asked = Asked(contact_id=made["id"], address="ada@example.org")
    token = opt_in_token(notification.token_key, asked, NOW)
    assert front.client.get("/contacts/confirm", params={"token": token}).status_code == 200
    assert front.client.get(path).json()["items"][0]["state"] == "confirmed"
    assert front.client.get("/contacts/confirm", params={"token": "no"}).status_code == 422
    leave = {"token": unsubscribe_token(notification.token_key, asked)}
    assert front.client.post("/contacts/unsubscribe", params=leave).status_code == 200
    assert front.client.get(path).json()["items"][0]["state"] == "unsubscribed"
    assert front.client.delete(f"{path}/{made['id']}").status_code == 204
    assert front.client.delete(f"{path}/{made['id']}").status_code == 404


def test_what_nobody_took_is_listed_and_sent_again(front: Front) -> None:
    with receiving(status(400)) as receiver:
        front.client.post("/v1/subscriptions", json={**WISH, "backfill": False})
        front.client.post(HOOKS, json={"url": receiver.url})
        front.client.post("/v1/subscriptions/med/full")
        (dead,) = wait_for(lambda: front.client.get("/v1/dead-letters").json()["items"])
        assert (dead["notice"], dead["attempts"]) == ("med-v1-to-u0", 1)
        receiver.next()
        assert front.client.post(f"/v1/dead-letters/{dead['id']}/send").status_code == 202
        assert receiver.next().headers["webhook-id"] == "med-v1-to-u0"
        assert front.client.post("/v1/dead-letters/nothing/send").status_code == 404


def test_others_subscriptions_and_all_of_them_are_nobodys_business(front: Front) -> None:
    ada, bob = (front.as_(name, Scope.SUBSCRIBE) for name in ("ada", "bob"))
    ada.post("/v1/subscriptions", json=WISH)
    assert ada.get(HOOKS).status_code == 200
    assert bob.get(HOOKS).status_code == 404
    assert bob.get("/v1/subscriptions/*/webhooks").status_code == 403
    assert bob.get("/v1/dead-letters").status_code == 403
    operator = front.as_("root", Scope.OPERATE)
    assert operator.get("/v1/subscriptions/*/webhooks").json() == {"items": []}


def test_a_subscription_that_ends_takes_its_webhooks_along(front: Front) -> None:
    front.client.post("/v1/subscriptions", json=WISH)
    front.client.post(HOOKS, json={"url": "http://127.0.0.1:9/hook"})
    front.client.delete("/v1/subscriptions/med")
    front.client.post("/v1/subscriptions", json=WISH)
    assert front.client.get(HOOKS).json()["items"] == []
