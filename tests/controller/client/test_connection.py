"""The client against servers that put it off, lie, or are not there."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.client import AccessError, Client, RequestFault, ServiceError, Unreachable
from controller.client.access import DEFAULT_URL, access_from
from controller.client.answers import Product
from controller.client.connection import ATTEMPTS_MAX, PAUSE_S, PAUSE_S_MAX
from controller.client.download import get_product
from controller.config.variables import is_setting, without_settings
from controller.errors import StorageError
from tests.controller.client.answering import Told, answering

READY = Told(status=200, body='{"status": "ready", "faults": {}}')


def later(seconds: str, status: int = 429) -> Told:
    return Told(status=status, headers={"Retry-After": seconds})


def test_it_comes_back_when_it_is_told_to() -> None:
    pauses: list[float] = []
    busy = [later("3"), later("9999"), later("soon")]
    with answering([*busy, READY]) as server, Client(server.url, pause=pauses.append) as client:
        assert client.health().ready
    assert pauses == [3.0, PAUSE_S_MAX, PAUSE_S * 4]


def test_it_gives_up_in_the_end() -> None:
    pauses: list[float] = []
    with answering([later("1", 503)]) as server, Client(server.url, pause=pauses.append) as client:
        with pytest.raises(ServiceError) as refused:
            client.task("t1")
        assert len(server.asked) == ATTEMPTS_MAX
    assert refused.value.status == 503
    assert refused.value.retry
    assert len(pauses) == ATTEMPTS_MAX - 1


def test_a_request_that_comes_again_has_the_same_key() -> None:
    answers = [later("1", 503), Told(status=409, body='{"detail": "there is one"}')]
    with answering(answers) as server, Client(server.url, pause=lambda _: None) as client:
        for _ in range(2):
            with pytest.raises(ServiceError, match="there is one"):
                client.subscribe({"id": "a"})
    first, again, other = (headers["Idempotency-Key"] for _, _, headers in server.asked)
    assert first == again != other


def test_not_ready_is_an_answer() -> None:
    told = Told(status=503, body='{"status": "not ready", "faults": {"store": "full"}}')
    with answering([told]) as server, Client(server.url) as client:
        health = client.health()
        assert len(server.asked) == 1
    assert not health.ready
    assert health.faults == {"store": "full"}


def test_every_fault_of_a_problem_is_told() -> None:
    body = '{"detail": "no", "errors": [{"pointer": "/bbox", "detail": "flat"}, {"detail": "odd"}]}'
    with (
        answering([Told(status=422, body=body)]) as server,
        Client(server.url) as client,
        pytest.raises(ServiceError) as refused,
    ):
        client.subscribe({"id": "a"})
    assert str(refused.value) == "no\n  /bbox: flat\n  /: odd"
    assert refused.value.faults[0] == RequestFault(pointer="/bbox", what="flat")
    assert not refused.value.retry


@pytest.mark.parametrize(
    "told",
    [
        Told(status=200, body="<html>"),
        Told(status=200, body='{"items": [{"id": 1}], "links": []}'),
        Told(status=200, body='{"items": []}'),
        Told(status=502, body="bad gateway"),
        Told(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        Told(status=404, body='{"detail": "Not Found"}'),
    ],
    ids=["html", "entry", "links", "gateway", "redirect", "route"],
)
def test_what_is_no_service_of_ours_is_told(told: Told) -> None:
    with answering([told]) as server, Client(server.url) as client:
        with pytest.raises(ServiceError, match="service"):
            list(client.tasks())
        assert len(server.asked) == 1


def test_names_do_not_climb_out_of_their_path() -> None:
    with answering([Told(status=204)]) as server, Client(server.url) as client:
        for name in ("../tasks", "", "a?b#c", ".."):
            client.remove(name)
    assert [path for _, path, _ in server.asked] == [
        "/v1/subscriptions/%2E%2E%2Ftasks",
        "/v1/subscriptions/%20",
        "/v1/subscriptions/a%3Fb%23c",
        "/v1/subscriptions/%2E%2E",
    ]


def test_pages_are_followed_below_the_given_url() -> None:
    update = '{"dataset": "d", "number": 1, "at": "2026-01-31T12:00:00Z", "profiles": null}'
    first = f'{{"items": [{update}], "links": [{{"rel": "next", "href": "/v1/u?cursor=x%26y"}}]}}'
    last = f'{{"items": [{update}], "links": []}}'
    answers = [Told(status=200, body=first), Told(status=200, body=last)]
    with answering(answers) as server, Client(f"{server.url}/below/") as client:
        assert len(list(client.updates())) == 2
    assert [path for _, path, _ in server.asked] == [
        "/below/v1/updates",
        "/below/v1/updates?cursor=x%26y",
    ]


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # but does not listen
        port = taken.getsockname()[1]
        with Client(f"http://127.0.0.1:{port}") as client, pytest.raises(Unreachable):
            client.health()


def test_the_key_is_sent_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "slackwater" / "key"
    path.parent.mkdir()
    path.write_text("slackwater_secret\n")
    path.chmod(0o600)
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert access_from(environment=environment).key == "slackwater_secret"
    assert access_from(environment={**environment, "SLACKWATER_KEY": "other"}).key == "other"
    access = access_from(key="mine", environment=environment)
    assert access.key == "mine"
    assert "mine" not in repr(access)
    assert access.url == DEFAULT_URL
    with answering([READY]) as server, Client(server.url, "mine") as client:
        client.health()
    assert server.asked[0][2]["Authorization"] == "Bearer mine"


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    environment = {"SLACKWATER_KEY_FILE": str(path)}
    with pytest.raises(AccessError, match="key cannot be used"):
        access_from(environment=environment)
    path.write_text("slackwater_secret\n")
    path.chmod(0o640)
    with pytest.raises(AccessError, match="chmod 600") as refused:
        access_from(environment=environment)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["ftp://x", "localhost:8750", "http://", "http://u:pass@x", "http://x/?a=b", "http://[x"]
)
def test_a_url_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(AccessError) as refused:
        access_from(url)
    assert "pass@" not in str(refused.value)


def test_the_variables_are_no_settings_and_no_part_hears_them() -> None:
    names = ("SLACKWATER_URL", "SLACKWATER_KEY", "SLACKWATER_KEY_FILE", "SLACKWATER_CA_FILE")
    assert not any(map(is_setting, names))
    assert without_settings({**dict.fromkeys(names, "x"), "HOME": "y"}) == {"HOME": "y"}


@pytest.mark.parametrize("change", ["content", "gone", "scheme"])
def test_what_is_not_the_product_gets_no_name(tmp_path: Path, change: str) -> None:
    source, out = tmp_path / "p.nc", tmp_path / "out"
    if change != "gone":
        source.write_bytes(b"changed")
    product = Product(
        id="p",
        subscription="s",
        task="t1",
        delivered_at=datetime(2026, 1, 31, tzinfo=UTC),
        late=False,
        slack_s=None,
        rows=1,
        size_bytes=7,
        sha256="0" * 64,
        digest="",
        url="memory://p.nc" if change == "scheme" else source.as_uri(),
        manifest_url=source.as_uri(),
    )
    with pytest.raises(StorageError):
        get_product(product, out)
    assert not out.exists() or not list(out.iterdir())
