"""Requests and metrics that exist are described, and those that are described exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.api import gate, server
from controller.api.door import DURABLE_S_MAX
from controller.api.estimating import WAITING_MAX, Estimate
from controller.api.keys import CACHE_S
from controller.api.pages import LIMIT_DEFAULT
from controller.api.scopes import Scope
from controller.store.sqlite import SqliteDatabase
from tests.controller.api.fronted import WISH, Front, fronted, wait_for
from tests.docs.pages import coded, first_cells, page, rows


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    database = partial(SqliteDatabase, folder / "db")
    with fronted(database, folder, telemetry=True) as front:
        yield front


def test_every_request_is_described(front: Front) -> None:
    described: dict[str, str] = {}
    for cells in rows(page("reference/api.md").text):
        if len(cells) == 3 and (named := coded(cells[0])) and " /" in named[0]:
            described[named[0]] = cells[1]
    assert set(described) == set(requests(front))
    assert {scope.strip("`") for scope in described.values()} == {"none", *Scope}


def requests(front: Front) -> dict[str, Any]:
    document = front.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    return {
        f"{method.upper()} {path}": told
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    }


def test_every_request_says_what_it_does(front: Front) -> None:
    for name, told in requests(front).items():
        assert told["description"], name


def test_the_scope_of_every_request_is_the_one_described(front: Front) -> None:
    known = {scope: front.as_("ann", scope) for scope in Scope}
    for cells in rows(page("reference/api.md").text):
        named = coded(cells[0])
        if len(cells) != 3 or not named or " /" not in named[0]:
            continue
        method, path = named[0].split()
        path = path.replace("{name}", "nothing")
        for scope, client in known.items():
            needed = coded(cells[1])
            allowed = not needed or scope in (needed[0], Scope.OPERATE)
            status = client.request(method, path, json={}).status_code
            assert (status != 403) is allowed, (named, scope, status)


def test_every_field_of_an_estimate_is_described() -> None:
    section = page("reference/api.md").section("Estimates")
    told = {name for cells in rows(section) for name in coded(cells[0])}
    assert told == set(Estimate.__dataclass_fields__)


def test_limits_are_those_in_force() -> None:
    told = page("reference/api.md")
    limits = {cells[0]: cells[1] for cells in rows(told.section("Limits"))}
    assert limits["Connections"] == f"{server.CONNECTIONS_BESIDE} more than that"
    assert limits["Threads that read the store"] == str(server.THREADS_MAX)
    assert limits["A request must have come whole after"] == f"{server.READ_S_MAX:g} s"
    cut_off = "A client that takes nothing of its answer is cut off after"
    assert limits[cut_off] == f"{server.WRITE_S_MAX:g} s"
    assert limits["A change that is not durable after"].startswith(f"{DURABLE_S_MAX:g} s ")
    assert limits["Estimates"] == f"one at a time, {WAITING_MAX} wait"
    for path in gate.WATCHED:
        assert f"`{path}`" in limits["Requests under way"]
    assert f"after {CACHE_S:g} seconds" in told.text
    assert f"{LIMIT_DEFAULT} by default" in told.text


def test_every_metric_is_described(tmp_path: Path) -> None:
    database = partial(SqliteDatabase, tmp_path / "db")
    with fronted(database, tmp_path, telemetry=True) as front:
        front.client.put("/v1/policy", json={"policy": "static"})
        front.client.post("/v1/subscriptions", json=WISH)
        late = front.client.post("/v1/subscriptions", json={**WISH, "id": "b"})
        assert late.status_code == 201
        text = wait_for(lambda: with_all(front))
    found = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    own = {name: kind for name, kind in found.items() if name.startswith("slackwater_")}
    told = page("reference/metrics.md")
    described = {coded(cells[0])[0]: cells[1] for cells in rows(told.text)}
    assert sorted(first_cells(told.text)) == sorted(described)
    # A deadline comes and goes with what waits.
    assert described.pop("slackwater_time_to_deadline_seconds") == "gauge"
    own.pop("slackwater_time_to_deadline_seconds", None)
    assert described == own
    assert all(f"`{name}`" in told.text for name in found if name.startswith("process_"))


def with_all(front: Front) -> str:
    text = front.client.get("/metrics").text
    return text if "slackwater_prediction_error_ratio{" in text else ""
