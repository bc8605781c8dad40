"""Subscriptions over HTTP: a whole life, conflicts, repeated requests, and every fault at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controller.api.scopes import Scope
from controller.api.shapes import ProductTold, SubscriptionInFull, TaskTold
from tests.controller.api.fronted import WISH, Front, fronted, wait_for
from tests.controller.recorded import NOW
from tests.controller.stores import Place, place, server
from tests.planner.building import update

__all__ = ["place", "server"]


@pytest.fixture
def front(place: Place, tmp_path: Path) -> Iterator[Front]:
    with fronted(place, tmp_path) as front:
        yield front


def test_a_subscription_is_made_read_changed_paused_and_ended(front: Front) -> None:
    made = front.client.post("/v1/subscriptions", json=WISH)
    assert made.status_code == 201, made.text
    assert made.headers["Location"] == "/v1/subscriptions/med"
    SubscriptionInFull.model_validate(made.json())
    read = front.client.get("/v1/subscriptions/med")
    assert {**read.json(), "account": None} == {**made.json(), "account": None}
    assert read.json()["deadline"] == "PT1M"
    assert read.json()["warnings"] == []
    changed = front.client.put("/v1/subscriptions/med", json={**WISH, "deadline": "PT2M"})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    paused = front.client.post("/v1/subscriptions/med/pause")
    assert paused.json()["paused"] is True
    assert front.client.post("/v1/subscriptions/med/resume").json()["paused"] is False
    assert front.client.delete("/v1/subscriptions/med").status_code == 204
    assert front.client.get("/v1/subscriptions/med").status_code == 404
    assert front.client.delete("/v1/subscriptions/med").status_code == 404


def test_what_is_delivered_is_listed_and_accounted_for(front: Front) -> None:
    front.client.post("/v1/subscriptions", json={**WISH, "backfill": True})
    front.life.inbox.put(update(NOW, 1))
    tasks = wait_for(lambda: [each for each in [ended(front)] if len(each) == 2])[0]
    assert [task["state"] for task in tasks] == ["delivered", "delivered"]
    for task in tasks:
        TaskTold.model_validate(task)
        one = front.client.get(f"/v1/tasks/{task['id']}")
        assert one.json() == task
    products = front.client.get("/v1/products", params={"subscription": "med"}).json()["items"]
    assert [ProductTold.model_validate(each).late for each in products] == [False, False]
    account = front.client.get("/v1/subscriptions/med").json()["account"]
    assert account == {"tasks": 2, "worker_s": 8.0, "cost": 0.0, "size_bytes": 6}


def test_all_that_was_delivered_is_made_one_product_on_request(front: Front) -> None:
    front.client.post("/v1/subscriptions", json={**WISH, "backfill": True})
    front.life.inbox.put(update(NOW, 1))
    wait_for(lambda: len(ended(front)) == 2)
    assert front.client.post("/v1/subscriptions/med/full").status_code == 202
    wait_for(lambda: len(ended(front)) == 3)
    products = front.client.get("/v1/products").json()["items"]
    assert products[-1]["id"] == "med-v1-to-u1"
    assert front.client.post("/v1/subscriptions/none/full").status_code == 404


def test_a_change_is_refused_to_whoever_read_before_another_change(front: Front) -> None:
    etag = front.client.post("/v1/subscriptions", json=WISH).headers["ETag"]
    mine = {"If-Match": etag}
    changed = front.client.put("/v1/subscriptions/med", json=WISH, headers=mine)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag
    for refused in (
        front.client.put("/v1/subscriptions/med", json=WISH, headers=mine),
        front.client.delete("/v1/subscriptions/med", headers=mine),
    ):
        assert refused.status_code == 412
        assert refused.headers["Content-Type"] == "application/problem+json"
    any_will_do = front.client.delete("/v1/subscriptions/med", headers={"If-Match": "*"})
    assert any_will_do.status_code == 204


def test_a_second_subscription_of_one_name_is_a_conflict(front: Front) -> None:
    assert front.client.post("/v1/subscriptions", json=WISH).status_code == 201
    assert front.client.post("/v1/subscriptions", json=WISH).status_code == 409


def test_a_request_that_is_repeated_under_its_name_is_carried_out_once(front: Front) -> None:
    named = {"Idempotency-Key": "k-1"}
    first = front.client.post("/v1/subscriptions", json=WISH, headers=named)
    again = front.client.post("/v1/subscriptions", json=WISH, headers=named)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.json()["made_at"] == first.json()["made_at"]
    other = front.client.post("/v1/subscriptions", json={**WISH, "id": "other"}, headers=named)
    assert other.status_code == 422
    otherwise = {**WISH, "deadline": "PT9M"}
    assert front.client.post("/v1/subscriptions", json=otherwise, headers=named).status_code == 422
    front.client.delete("/v1/subscriptions/med")
    assert front.client.post("/v1/subscriptions", json=WISH, headers=named).status_code == 422


def test_requests_at_the_same_time_make_one_subscription(front: Front) -> None:
    def make(_: int) -> int:
        return front.client.post("/v1/subscriptions", json=WISH).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(make, range(8)))
    assert statuses == [201] + [409] * 7


def test_every_fault_is_told_at_once_with_its_place(front: Front) -> None:
    wrong = {"id": "Not An Id", "dataset": "argo", "bbox": [0, 50, 10, 40], "priorty": 2}
    refused = front.client.post("/v1/subscriptions", json={**wrong, "destination": "/etc"})
    assert refused.status_code == 422
    assert refused.headers["Content-Type"] == "application/problem+json"
    told = refused.json()
    assert told["status"] == 422
    pointers = {each["pointer"] for each in told["errors"]}
    assert pointers == {"/id", "/bbox", "/priorty", "/destination"}
    assert any("Did you mean priority?" in each["detail"] for each in told["errors"])


CANNOT_BE: tuple[dict[str, object], ...] = (
    {"id": "a\u0000b"},
    {"destination": "file:///products/\u0000"},
    {"destination": "\ud800"},
    {"options": {"qc": "\ud800"}},
    {"priority": 1e999},
    {"bbox": "1,2,3"},
    {"bbox": [None] * 4},
    {"bbox": [1e400, 0, 1, 1]},
    {"deadline": "PT0S"},
    {"deadline": "P99999999999999Y"},
    {"parameters": ["\u0000"]},
    {"parameters": {"a": 1}},
    {"dataset": []},
    {"priority": [[]]},
)


def test_values_that_cannot_be_are_named(front: Front) -> None:
    typed = {"Content-Type": "application/json"}
    for value in CANNOT_BE:
        body = json.dumps({**WISH, **value})
        refused = front.client.post("/v1/subscriptions", content=body, headers=typed)
        assert refused.status_code in (400, 422), (value, refused.text)
    assert front.client.get("/v1/subscriptions").json()["items"] == []


def test_a_subscription_keeps_its_id(front: Front) -> None:
    front.client.post("/v1/subscriptions", json=WISH)
    moved = front.client.put("/v1/subscriptions/med", json={**WISH, "id": "other"})
    assert moved.status_code == 422
    assert moved.json()["errors"][0]["pointer"] == "/id"


def test_longitudes_up_to_360_are_told_how_they_are_read(front: Front) -> None:
    made = front.client.post("/v1/subscriptions", json={**WISH, "bbox": [350, 30, 359, 40]})
    assert made.json()["bbox"] == [-10, 30, -1, 40]
    assert "0..360" in made.json()["warnings"][0]


def test_owners_see_only_their_own(front: Front) -> None:
    ann, bob = front.as_("ann", Scope.SUBSCRIBE), front.as_("bob", Scope.SUBSCRIBE)
    eve = front.as_("eve", Scope.OPERATE)
    assert front.client.get("/v1/subscriptions").status_code == 401
    assert ann.post("/v1/subscriptions", json={**WISH, "backfill": True}).status_code == 201
    assert wait_for(lambda: ended(front, ann))
    task = ann.get("/v1/tasks").json()["items"][0]["id"]
    for path in ("subscriptions/med", f"tasks/{task}"):
        assert ann.get(f"/v1/{path}").status_code == 200
        assert bob.get(f"/v1/{path}").status_code == 404
        assert eve.get(f"/v1/{path}").status_code == 200
    for path in ("subscriptions", "tasks", "products"):
        assert len(ann.get(f"/v1/{path}").json()["items"]) == 1
        assert bob.get(f"/v1/{path}").json()["items"] == []
        assert len(eve.get(f"/v1/{path}").json()["items"]) == 1
    assert bob.put("/v1/subscriptions/med", json=WISH).status_code == 404
    assert bob.delete("/v1/subscriptions/med").status_code == 404
    assert bob.post("/v1/subscriptions/med/pause").status_code == 404
    assert eve.put("/v1/subscriptions/med", json=WISH).json()["owner"] == "ann"
    assert bob.get("/v1/nodes").status_code == 403


def ended(front: Front, client: object = None) -> list[dict[str, object]]:
    asked = client or front.client
    tasks = asked.get("/v1/tasks").json()["items"]  # type: ignore[attr-defined]
    return tasks if tasks and all(task["ended_at"] for task in tasks) else []
