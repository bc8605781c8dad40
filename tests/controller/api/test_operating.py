"""What operators do and see: status, metrics, policy, scale, nodes sent away, pushed messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from controller.api.announcing import announcing
from controller.api.door import Announced
from controller.api.scopes import Scope
from controller.api.shapes import DecisionTold, NodeTold, StatusTold, UpdateTold
from controller.config.settings import ARGO_DOI
from controller.errors import ArchiveError
from controller.store.sqlite import SqliteDatabase
from planner.commands import DrainNode, RemoveNode, RunPart
from tests.controller.api.fronted import WISH, Front, fronted, wait_for
from tests.controller.stores import Place, place, server

__all__ = ["place", "server"]


@pytest.fixture
def front(place: Place, tmp_path: Path) -> Iterator[Front]:
    """A service whose parts never end."""
    with fronted(place, tmp_path, stalls=(RunPart, DrainNode, RemoveNode)) as front:
        yield front


def node_of(front: Front) -> str:
    """Let a node stand and run, and return its id."""
    assert front.client.post("/v1/subscriptions", json=WISH).status_code == 201
    (node,) = wait_for(lambda: ready(front))
    return str(node["id"])


def ready(front: Front) -> list[dict[str, object]]:
    nodes = front.client.get("/v1/nodes").json()["items"]
    running = front.client.get("/v1/status").json()["parts_running"]
    return nodes if running and all(node["state"] == "ready" for node in nodes) else []


def test_status_tells_what_waits_runs_and_is_due_next(front: Front) -> None:
    node_of(front)
    told = StatusTold.model_validate(front.client.get("/v1/status").json())
    assert told.ready
    assert (told.policy, told.nodes, told.parts_running) == ("prefix", {"ready": 1}, 2)
    assert told.workers == {"ready": 2, "busy": 2}
    assert told.tasks["open"] == 1
    assert told.batches > 0
    assert told.pause_p99_s >= told.pause_median_s > 0
    assert front.client.get("/readyz").json() == {"status": "ready", "faults": {}}
    for path, kind in (("nodes", NodeTold), ("decisions", DecisionTold), ("updates", UpdateTold)):
        for item in front.client.get(f"/v1/{path}").json()["items"]:
            kind.model_validate(item)


def test_a_drained_node_is_told_to_drain_and_a_removed_one_goes(front: Front) -> None:
    node = node_of(front)
    drained = front.client.post(f"/v1/nodes/{node}/drain")
    assert (drained.status_code, drained.json()["state"]) == (202, "draining")
    removed = front.client.delete(f"/v1/nodes/{node}")
    assert (removed.status_code, removed.json()["state"]) == (202, "removing")
    assert front.client.delete(f"/v1/nodes/{node}").status_code == 409
    for name in ("n999", "a%00b"):
        assert front.client.post(f"/v1/nodes/{name}/drain").status_code == 404
        assert front.client.delete(f"/v1/nodes/{name}").status_code == 404
    reasons = {each["reason"] for each in front.client.get("/v1/decisions").json()["items"]}
    assert "the operator asked for it" in reasons


def test_the_policy_is_changed_key_by_key(front: Front) -> None:
    before = front.client.get("/v1/policy").json()
    assert (before["policy"], before["order"]) == ("prefix", "deadline")
    changed = front.client.put("/v1/policy", json={"policy": "static", "threshold_s": 90})
    assert changed.status_code == 200
    assert changed.json() == {**before, "policy": "static", "threshold_s": 90.0}
    assert front.client.get("/v1/policy").json() == changed.json()
    assert front.client.get("/v1/status").json()["threshold_s"] == 90.0
    assert front.client.put("/v1/policy", json={"order": "laxity"}).json()["order"] == "laxity"


def test_a_policy_is_reset_to_that_of_the_settings_file(front: Front) -> None:
    before = front.client.get("/v1/policy").json()
    changes = {"policy": "static", "order": "laxity", "nodes_max": 2}
    assert front.client.put("/v1/policy", json=changes).status_code == 200
    assert front.client.delete("/v1/policy").json() == before
    assert front.client.get("/v1/policy").json() == before
    assert front.client.get("/v1/scale").json()["auto"] is True


def test_every_fault_of_a_policy_is_told(front: Front) -> None:
    wrong = {"policy": "prefx", "nodes_min": 9, "nodes_max": 3, "treshold_s": 1, "order": "luck"}
    refused = front.client.put("/v1/policy", json=wrong)
    assert refused.status_code == 422
    faults = {each["pointer"]: each["detail"] for each in refused.json()["errors"]}
    assert {"/policy", "/treshold_s", "/order"} <= faults.keys()
    assert "threshold_s" in faults["/treshold_s"]
    refused = front.client.put("/v1/policy", json={"nodes_min": 9, "nodes_max": 3})
    assert "nodes_min 9 is above nodes_max 3" in refused.text
    assert front.client.get("/v1/policy").json()["policy"] == "prefix"


def test_the_fleet_is_held_at_a_number_and_left_to_the_policy_again(front: Front) -> None:
    auto = front.client.get("/v1/scale").json()
    assert auto["auto"] is True
    held = front.client.put("/v1/scale", json={"nodes": 3}).json()
    assert (held["nodes_min"], held["nodes_max"], held["auto"]) == (3, 3, False)
    wait_for(lambda: len(front.client.get("/v1/nodes").json()["items"]) == 3)
    assert front.client.put("/v1/scale", json={"nodes": "auto"}).json()["auto"] is True
    for wrong in (0, -1, 1e9, "many", None, True):
        assert front.client.put("/v1/scale", json={"nodes": wrong}).status_code == 422


def test_only_operators_operate(front: Front) -> None:
    ann = front.as_("ann", Scope.SUBSCRIBE, Scope.PUBLISH)
    for method, path in (
        ("GET", "policy"),
        ("PUT", "policy"),
        ("DELETE", "policy"),
        ("GET", "scale"),
        ("PUT", "scale"),
        ("GET", "nodes"),
        ("GET", "decisions"),
        ("POST", "nodes/n1/drain"),
        ("DELETE", "nodes/n1"),
    ):
        assert ann.request(method, f"/v1/{path}", json={}).status_code == 403, path
    assert ann.get("/metrics").status_code == 403
    assert ann.get("/v1/status").status_code == 200
    assert front.client.get("/readyz").status_code == 200
    assert front.client.get("/v1/status").status_code == 401


def test_metrics_count_what_was_done(place: Place, tmp_path: Path) -> None:
    with fronted(place, tmp_path, telemetry=True) as front:
        front.client.post("/v1/subscriptions", json=WISH)
        text = wait_for(lambda: scraped(front, 'deliveries_total{outcome="on_time"} 1.0'))
    for line in (
        'slackwater_scale_decisions_total{action="launch"} 1.0',
        'slackwater_events_total{kind="PartFinished"} 2.0',
        "slackwater_worker_seconds_total 4.0",
        "slackwater_product_bytes_total 3.0",
        'slackwater_delivery_slack_seconds_bucket{le="60.0"} 1.0',
        "slackwater_subscriptions 1.0",
        'slackwater_deliveries_total{outcome="late"} 0.0',
        'slackwater_nodes{state="booting"} 0.0',
    ):
        assert line in text.splitlines(), text
    assert 'slackwater_http_request_seconds_count{method="POST",status="2xx"} 1.0' in text
    assert "med" not in text


def scraped(front: Front, wanted: str) -> str:
    answer = front.client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return answer.text if wanted in answer.text else ""


def test_pushed_messages_are_handed_on_with_their_headers(place: Place, tmp_path: Path) -> None:
    taken: list[tuple[Mapping[str, str], bytes]] = []

    def announce(headers: Mapping[str, str], body: bytes) -> Announced:
        taken.append((headers, body))
        if body == b"torn":
            raise ArchiveError("it cannot be kept now", retry=True)
        return Announced(id="m1", dataset="argo", is_new=len(taken) == 1)

    with fronted(place, tmp_path, door={"announce": announce}) as front:
        bob = front.as_("bob", Scope.PUBLISH)
        for is_new in (True, False):
            answer = bob.post("/v1/updates", content=b"{}", headers={"ce-id": "m1"})
            assert answer.status_code == 202
            assert answer.json() == {"id": "m1", "dataset": "argo", "is_new": is_new}
        assert bob.post("/v1/updates", content=b"torn").status_code == 503
        assert front.as_("ann", Scope.SUBSCRIBE).post("/v1/updates").status_code == 403
    assert taken[0][0]["ce-id"] == "m1"
    assert "authorization" not in taken[0][0]


def test_a_message_at_fault_is_told_all_that_is_wrong(tmp_path: Path) -> None:
    announce = announcing({"argo": ARGO_DOI}, lambda found: found.id != "old")
    database = partial(SqliteDatabase, tmp_path / "db")
    with fronted(database, tmp_path, door={"announce": announce}) as front:
        told = front.client.post("/v1/updates", json={"id": "m1", "dataset": "argo"})
        assert told.json() == {"id": "m1", "dataset": ARGO_DOI, "is_new": True}
        again = front.client.post("/v1/updates", json={"id": "old", "dataset": "argo"})
        assert (again.status_code, again.json()["is_new"]) == (202, False)
        refused = front.client.post("/v1/updates", json={"dataset": "arg", "subject": 1})
        assert refused.status_code == 422
        assert {each["pointer"] for each in refused.json()["errors"]} == {
            "/id",
            "/dataset",
            "/subject",
        }
        typed = {"Content-Type": "text/csv"}
        refused = front.client.post("/v1/updates", content=b"a,b", headers=typed)
        assert refused.status_code == 415
        assert refused.json()["errors"][0]["parameter"] == "content-type"
        large = front.client.post("/v1/updates", json={"id": "a" * 70_000, "dataset": "argo"})
        assert large.status_code == 413


def test_a_service_that_takes_no_messages_says_so(front: Front) -> None:
    assert front.client.post("/v1/updates", json={}).status_code == 404
