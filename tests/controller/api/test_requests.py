"""What requests get that cannot be served: each a problem document, whatever they hold."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from controller.api.door import Announced
from controller.api.scopes import ANYBODY
from controller.config.iso8601 import instant_text
from controller.service import Inbox, Letter
from controller.store.sqlite import SqliteDatabase
from planner.events import Ticked
from tests.controller.api.fronted import WISH, Front, fronted, wait_for
from tests.controller.recorded import NOW
from tests.controller.stores import Place, place, server

__all__ = ["place", "server"]

SMALL = 2_000


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    app = {"body_bytes_max": SMALL, "hosts": ("127.0.0.1", "localhost"), "page_max": 3}
    with fronted(partial(SqliteDatabase, folder / "db"), folder, app=app) as front:
        yield front


def is_problem(answer: httpx.Response, status: int) -> bool:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    assert answer.status_code == answer.json()["status"] == status, answer.text
    return bool(answer.json()["detail"])


def test_unknown_routes_and_methods_are_problems(front: Front) -> None:
    assert is_problem(front.client.get("/v1/nothing"), 404)
    assert is_problem(front.client.get("/docs"), 404)
    refused = front.client.patch("/v1/subscriptions/med")
    assert is_problem(refused, 405)
    assert "PUT" in refused.headers["Allow"] or "GET" in refused.headers["Allow"]


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "!"},
        {"cursor": "bnVsbA"},
        {"cursor": "WzEsMl0"},
        {"cursor": "WyJcdTAwMDAiXQ"},
        {"cursor": "W" * 2000},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "many"},
    ],
    ids=str,
)
def test_pages_that_cannot_be_are_refused(front: Front, query: dict[str, str]) -> None:
    for path in ("subscriptions", "tasks", "products", "updates", "nodes", "decisions"):
        refused = front.client.get(f"/v1/{path}", params=query)
        assert is_problem(refused, refused.status_code)
        assert refused.status_code in (400, 422), path


def test_a_listing_is_read_page_by_page(front: Front) -> None:
    names = [f"s{n}" for n in range(7)]
    for name in names:
        made = front.client.post("/v1/subscriptions", json={**WISH, "id": name})
        assert made.status_code == 201
    found, href = [], "/v1/subscriptions?limit=1000"
    while href:
        page = front.client.get(href).json()
        assert len(page["items"]) <= 3
        found += [each["id"] for each in page["items"]]
        href = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert found == names
    for name in names:
        front.client.delete(f"/v1/subscriptions/{name}")


def test_a_page_that_is_known_is_not_sent_again(front: Front) -> None:
    first = front.client.get("/v1/products")
    known = {"If-None-Match": f'"other", {first.headers["ETag"]}'}
    again = front.client.get("/v1/products", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert front.client.get("/v1/tasks", headers={"If-None-Match": '"x"'}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"id": "\xe9"}', b"[" * 1500, b'{"a":' * 300],
    ids=lambda body: str(body[:12]),
)
def test_bodies_that_are_no_subscription_are_problems(front: Front, body: bytes) -> None:
    typed = {"Content-Type": "application/json"}
    refused = front.client.post("/v1/subscriptions", content=body, headers=typed)
    assert is_problem(refused, refused.status_code)
    assert refused.status_code in (400, 422)


def test_a_body_of_another_type_is_a_problem(front: Front) -> None:
    refused = front.client.post("/v1/subscriptions", content=b"id=med")
    assert is_problem(refused, 422)


def test_a_body_may_not_be_too_large_whether_it_says_so_or_not(front: Front) -> None:
    large = b'{"id": "' + b"a" * SMALL + b'"}'
    typed = {"Content-Type": "application/json"}
    assert is_problem(front.client.post("/v1/subscriptions", content=large, headers=typed), 413)
    pieces = (large[n : n + 100] for n in range(0, len(large), 100))
    chunked = front.client.post("/v1/subscriptions", content=pieces, headers=typed)
    assert "Content-Length" not in chunked.request.headers
    assert is_problem(chunked, 413)


def test_a_service_without_keys_answers_only_under_its_own_name(front: Front) -> None:
    assert front.client.get("/v1/tasks", headers={"Host": "localhost:1"}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example:8750", "[::1", ""):
        assert is_problem(front.client.get("/v1/tasks", headers={"Host": host}), 421)


def test_pages_of_other_sites_change_nothing(front: Front) -> None:
    front.client.post("/v1/subscriptions", json=WISH)
    pause = "/v1/subscriptions/med/pause"
    for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert is_problem(front.client.post(pause, headers=foreign), 403)
    assert front.client.post(pause, headers={"Origin": front.url}).status_code == 200


def test_every_answer_tells_browsers_to_beware(front: Front) -> None:
    for path in ("/v1/tasks", "/v1/nothing", "/livez"):
        headers = front.client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert len(headers["X-Request-Id"]) == 16
        assert "Server" not in headers


def test_requests_are_logged_without_query_or_key(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="controller.api.access"):
        secret = {"Authorization": "Bearer slackwater_secret"}
        answer = front.client.get("/v1/tasks/a%0Ab?cursor=private", headers=secret)
        named = answer.headers["X-Request-Id"]
        (line,) = wait_for(lambda: [each for each in caplog.messages if named in each])
    assert line.startswith("GET /v1/tasks/a%0Ab 404 in")
    assert "private" not in line
    assert "secret" not in line


def test_a_full_inbox_asks_to_come_back(place: Place, tmp_path: Path) -> None:
    full = Inbox(letters_max=1)
    full.post(Letter(event=Ticked(at=NOW)))
    with fronted(place, tmp_path, door={"inbox": full}) as front:
        refused = front.client.post("/v1/subscriptions", json=WISH)
        assert is_problem(refused, 429)
        assert int(refused.headers["Retry-After"]) > 0


def test_a_full_store_asks_to_come_back_and_then_goes_on(tmp_path: Path) -> None:
    with fronted(partial(SqliteDatabase, tmp_path / "db"), tmp_path) as front:
        pages_at_most(front, 1)  # No fewer than it has.
        refused = wait_for(lambda: made(front, 503))
        assert is_problem(refused[0], 503)
        assert int(refused[0].headers["Retry-After"]) > 0
        told = front.client.get("/readyz")
        assert (told.status_code, list(told.json()["faults"])) == (503, ["store"])
        pages_at_most(front, 1_000_000)
        assert wait_for(lambda: made(front, 201))
        assert front.client.get("/readyz").status_code == 200


def pages_at_most(front: Front, count: int) -> None:
    with front.life.database.transaction() as connection:
        connection.change(f"PRAGMA max_page_count = {count}", {})


def made(front: Front, status: int) -> list[httpx.Response]:
    name = f"s{len(front.client.get('/v1/subscriptions').json()['items'])}"
    answer = front.client.post("/v1/subscriptions", json={**WISH, "id": name})
    return [answer] if answer.status_code == status else []


def test_more_requests_than_allowed_are_told_to_come_back(tmp_path: Path) -> None:
    database = partial(SqliteDatabase, tmp_path / "db")
    with fronted(database, tmp_path, runs=False, app={"requests_max": 1}) as front:
        with socket.create_connection(address(front)) as waiting:
            waiting.sendall(request("POST", "/v1/subscriptions", body=length_only(10)))
            refused = wait_for(lambda: turned_away(front))
        assert is_problem(refused[0], 503)
        assert front.client.get("/livez").status_code == 200


def turned_away(front: Front) -> list[httpx.Response]:
    answer = front.client.get("/v1/tasks")
    return [answer] if answer.status_code == 503 else []


def length_only(length: int) -> bytes:
    head = f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    return head.encode()


def request(method: str, path: str, body: bytes = b"\r\n") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode() + body


def address(front: Front) -> tuple[str, int]:
    parts = urlsplit(front.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /v1/ta", request("POST", "/v1/subscriptions", length_only(10))],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_client_that_sends_no_whole_request_is_cut_off(tmp_path: Path, sent: bytes) -> None:
    database, soon = partial(SqliteDatabase, tmp_path / "db"), {"read_s_max": 0.2}
    with (
        fronted(database, tmp_path, runs=False, server=soon) as front,
        socket.create_connection(address(front), timeout=10) as hanging,
    ):
        hanging.sendall(sent)
        assert ended(hanging)


def test_a_client_that_goes_in_the_midst_of_its_body_is_no_fault_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    door = {"announce": lambda headers, body: Announced(id="a", dataset="d", is_new=True)}
    with fronted(partial(SqliteDatabase, tmp_path / "db"), tmp_path, door=door) as front:
        with socket.create_connection(address(front), timeout=10) as hasty:
            hasty.sendall(request("POST", "/v1/updates", length_only(10)))
        wait_for(lambda: [each for each in caplog.messages if "unanswered" in each])
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


@pytest.mark.parametrize("origin", ["http://[::1", "http://", "null", "http://\xff"])
def test_an_origin_that_is_none_is_strange(tmp_path: Path, origin: str) -> None:
    app = {"find_caller": lambda _: ANYBODY, "hosts": {"127.0.0.1"}}
    with fronted(partial(SqliteDatabase, tmp_path / "db"), tmp_path, app=app) as front:
        headers = {b"Origin": origin.encode("latin-1")}
        told = front.client.post("/v1/subscriptions", json=WISH, headers=headers)
        assert told.status_code == 403


def test_a_deadline_beyond_all_years_breaks_no_listing(tmp_path: Path) -> None:
    with fronted(partial(SqliteDatabase, tmp_path / "db"), tmp_path) as front:
        wish = {**WISH, "deadline": "P99999999999999D"}
        assert front.client.post("/v1/subscriptions", json=wish).status_code == 422
    assert instant_text(1e18) == "9999-12-31T23:59:59Z"
    assert instant_text(-1e18) == "0001-01-01T00:00:00Z"


def ended(hanging: socket.socket) -> bool:
    try:
        return hanging.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_client_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    database, soon = partial(SqliteDatabase, tmp_path / "db"), {"write_s_max": 0.2}
    with fronted(database, tmp_path, server=soon) as front, socket.socket() as hanging:
        hanging.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        hanging.settimeout(10)
        hanging.connect(address(front))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            ask_for_ever(hanging)
        assert front.client.get("/livez").status_code == 200


def ask_for_ever(hanging: socket.socket) -> None:
    ask = request("GET", "/openapi.json")
    while True:
        hanging.sendall(ask)
