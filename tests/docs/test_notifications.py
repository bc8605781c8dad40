"""What the pages about notices say is what the program does, and their receiver works."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from controller.notify.address_book import CONTACTS_MAX, ENDPOINTS_MAX
from controller.notify.dialling import Allowance
from controller.notify.guard import URL_CHARACTERS_MAX, Guard
from controller.notify.notices import notice_id
from controller.notify.notifier import LANE_SENDS_MAX, SENDS_MAX
from controller.notify.outcomes import DELAYS_S, Fate, Outcome
from controller.notify.payload import cloud_event
from controller.notify.signing import SECRETS_MAX, Secret
from controller.notify.webhooks import REDIRECTS_MAX, Endpoint, WebhookSender
from planner.model import NoticeKind
from tests.controller.notify.receiver import SECRET, WAIT_S, notice, receiving, status
from tests.docs.pages import coded, first_cells, page, rows

REFERENCE = "reference/notifications.md"
UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0}


def test_the_example_is_what_is_sent() -> None:
    (example,) = page(REFERENCE).blocks("json")
    assert json.loads(example) == json.loads(cloud_event(notice(), "/slackwater"))


def test_every_kind_has_its_row_and_id() -> None:
    text = page(REFERENCE).text.partition("## Webhooks")[0]
    told = {coded(cells[0])[0]: coded(cells[2]) for cells in rows(text)}
    assert told == {kind: _ends(kind) for kind in NoticeKind}


def _ends(kind: NoticeKind) -> list[str]:
    end = notice_id("", kind, 17).removesuffix("17")
    return [end] if end else []


def test_every_property_is_described() -> None:
    section = page(REFERENCE).section("The body")
    properties = json.loads(cloud_event(notice(), "/"))["data"]["properties"]
    assert set(properties) <= set(first_cells(section))


def test_every_header_is_described() -> None:
    with receiving(status(200)) as receiver:
        assert sent(receiver.url).fate is Fate.SENT
        headers = receiver.next().headers
    told = {name.lower() for name in first_cells(page(REFERENCE).section("Headers"))}
    assert told == set(headers) - {"host", "content-length", "connection"}


def test_the_table_of_retries_is_the_schedule() -> None:
    pauses = [cells[1].split() for cells in rows(page(REFERENCE).section("Retries"))]
    assert tuple(float(amount) * UNITS_S[unit] for amount, unit in pauses) == DELAYS_S


@pytest.mark.parametrize(
    "words",
    [
        f"at most {REDIRECTS_MAX} times",
        f"at most {SENDS_MAX} attempts at the same time, and at most {LANE_SENDS_MAX} to one host",
        f"at most {URL_CHARACTERS_MAX:,} characters",
        f"up to {SECRETS_MAX} at the same time",
        f"at most {ENDPOINTS_MAX} webhooks and {CONTACTS_MAX} addresses",
    ],
)
def test_limits_are_told_as_they_are(words: str) -> None:
    assert words in " ".join(page(REFERENCE).text.split())


def sent(url: str, *secrets: Secret, clock: Any = time.time) -> Outcome:
    sender = WebhookSender(guard=Guard(private_addresses_allowed=True), clock=clock)
    endpoint = Endpoint(id="e1", url=url, secrets=secrets or (SECRET,))
    return sender.send(endpoint, notice(), Allowance(WAIT_S))


@contextmanager
def their_receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run the receiver of the how-to as it stands there; yields its URL."""
    (program,) = page("how-to/receive-webhooks.md").blocks("python")
    monkeypatch.setenv("WEBHOOK_SECRETS", SECRET.text)
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(program, "receive-webhooks.md", "exec"), names)
    hook: type[BaseHTTPRequestHandler] = names["Hook"]
    monkeypatch.setattr(hook, "log_message", lambda *args: None)
    with HTTPServer(("127.0.0.1", 0), hook) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_receiver_of_the_how_to_believes_us_once_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with their_receiver(monkeypatch) as url:
        assert sent(url, Secret.new(), SECRET).fate is Fate.SENT
        assert sent(url).fate is Fate.SENT
        assert sent(url, Secret.new()).reason == "it answered 401"
        assert sent(url, clock=lambda: time.time() - 600).reason == "it answered 401"
    assert capsys.readouterr().out.splitlines() == [
        "org.slackwater.product.delivered med-v1-u2 90.0",
        "  canonical s3://ocean/med/med-v1-u2.nc",
        "  manifest s3://ocean/med/med-v1-u2.manifest.json",
    ]
