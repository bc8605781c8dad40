"""Webhooks against real receivers that refuse, hang, trickle, redirect and lie."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks.webhooks import Webhook

from controller.notify.dialling import BODY_BYTES_MAX, Allowance
from controller.notify.guard import Guard
from controller.notify.outcomes import Fate, Outcome
from controller.notify.signing import Secret
from controller.notify.webhooks import REDIRECTS_MAX, Endpoint, WebhookSender
from tests.controller.notify.certificates import tls_of
from tests.controller.notify.receiver import (
    SECRET,
    WAIT_S,
    Answer,
    Handler,
    in_turn,
    notice,
    receiving,
    status,
)

HERE = Guard(private_addresses_allowed=True)
SHORT_S = 0.3
"""How long a hostile receiver is waited for here [s]."""


def send(url: str, limit_s: float = WAIT_S, guard: Guard = HERE, *secrets: Secret) -> Outcome:
    endpoint = Endpoint(id="e1", url=url, secrets=secrets or (SECRET,))
    return WebhookSender(guard=guard).send(endpoint, notice(), Allowance(limit_s))


def test_a_receiver_gets_a_signed_event_that_it_can_check() -> None:
    old = Secret.new()
    with receiving(status(204)) as receiver:
        assert send(receiver.url, WAIT_S, HERE, SECRET, old) == Outcome(fate=Fate.SENT)
        got = receiver.next()
    assert got.path == "/hook?for=med"
    for secret in (SECRET, old):
        Webhook(secret.text).verify(got.body, got.headers)
    assert got.headers["webhook-id"] == "med-v1-u2"
    assert got.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert got.headers["user-agent"].startswith("slackwater/")
    event = from_http_event(HTTPMessage(headers=got.headers, body=got.body))
    assert event.get_id() == "med-v1-u2"


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        (200, Fate.SENT),
        (299, Fate.SENT),
        (302, Fate.FAILED),
        (303, Fate.FAILED),
        (304, Fate.FAILED),
        (307, Fate.FAILED),
        (400, Fate.FAILED),
        (404, Fate.FAILED),
        (410, Fate.GONE),
        (500, Fate.FAILED),
    ],
)
def test_what_a_status_means(code: int, fate: Fate) -> None:
    with receiving(status(code)) as receiver:
        assert send(receiver.url).fate is fate


def test_a_busy_receiver_says_how_long_to_wait() -> None:
    with receiving(status(429, Retry_After="120")) as receiver:
        found = send(receiver.url)
    assert (found.fate, found.retry_after_s) == (Fate.FAILED, 120.0)
    assert found.reason == "it answered 429"


def hang(handler: Handler) -> None:
    receivers[handler.server.server_port].wait(WAIT_S)


def trickle_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not receivers[handler.server.server_port].wait(0.02):
        handler.wfile.write(b"X: y\r\n")


receivers: dict[int, threading.Event] = {}


@pytest.mark.parametrize("script", [hang, trickle_headers])
def test_a_receiver_that_never_answers_is_left_in_time(script: Answer) -> None:
    with receiving(script) as receiver:
        receivers[receiver.server.server_port] = receiver.ended
        began = time.monotonic()
        found = send(receiver.url, SHORT_S)
        took_s = time.monotonic() - began
    assert found == Outcome(fate=Fate.FAILED, reason="no answer in time")
    assert took_s < SHORT_S + 5.0


def test_a_status_counts_though_its_body_never_ends() -> None:
    read: list[int] = []

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not receivers[handler.server.server_port].is_set():
                read.append(handler.wfile.write(bytes(BODY_BYTES_MAX)))
        except OSError:
            cut_off.set()

    cut_off = threading.Event()
    with receiving(endless) as receiver:
        receivers[receiver.server.server_port] = receiver.ended
        assert send(receiver.url).fate is Fate.SENT
        assert cut_off.wait(WAIT_S)


def test_what_listens_but_does_not_speak_http_is_a_failure() -> None:
    with receiving(lambda handler: None) as receiver:
        assert send(receiver.url).fate is Fate.FAILED

    def nonsense(handler: Handler) -> None:
        handler.wfile.write(b"220 mail.example.org ESMTP\r\n\r\n")

    with receiving(nonsense) as receiver:
        assert send(receiver.url).reason == "its answer is not HTTP"


def test_where_nobody_listens_the_connection_is_refused() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = send(f"http://127.0.0.1:{port}/")
    assert found == Outcome(fate=Fate.FAILED, reason="it refused the connection")


def test_an_attempt_is_given_up_at_once_when_it_is_cancelled() -> None:
    allowance = Allowance(WAIT_S)

    def cancel(handler: Handler) -> None:
        allowance.cancel()
        receivers[handler.server.server_port].wait(WAIT_S)

    with receiving(cancel) as receiver:
        receivers[receiver.server.server_port] = receiver.ended
        endpoint = Endpoint(id="e1", url=receiver.url, secrets=(SECRET,))
        found = WebhookSender(guard=HERE).send(endpoint, notice(), allowance)
        assert found.fate is Fate.ABANDONED
        assert not receiver.ended.is_set()


# --- redirects


@pytest.mark.parametrize("code", [307, 308])
def test_a_receiver_that_moved_is_followed_with_the_same_body(code: int) -> None:
    script = in_turn(status(code, Location="/new"), status(200))
    with receiving(script) as receiver:
        assert send(receiver.url).fate is Fate.SENT
        first, second = receiver.next(), receiver.next()
    assert (first.path, second.path) == ("/hook?for=med", "/new")
    assert first.body == second.body


def test_a_loop_of_redirects_ends() -> None:
    with receiving(status(307, Location="/again")) as receiver:
        assert send(receiver.url).reason == f"more than {REDIRECTS_MAX} redirects"
        assert receiver.heard == 1 + REDIRECTS_MAX


def test_a_redirect_into_our_network_is_refused() -> None:
    with receiving(status(200)) as inside:
        location = f"http://localhost:{urlsplit(inside.url).port}/secret"
        with receiving(status(307, Location=location)) as receiver:
            only_it = Guard(hosts_allowed=("127.0.0.1",))
            found = send(receiver.url, WAIT_S, only_it)
        assert found.fate is Fate.FAILED
        assert inside.heard == 0


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://x/", "http://[::1", "//", "https://u:p@x.org/"]
)
def test_a_redirect_to_nonsense_is_a_failure(location: str) -> None:
    with receiving(status(307, Location=location)) as receiver:
        assert send(receiver.url).fate is Fate.FAILED


# --- names and certificates


class Names:
    """A resolver that knows one name, and is asked in vain for a second meaning."""

    def __init__(self, *meanings: str) -> None:
        self.meanings = list(meanings)
        self.asked = 0

    def __call__(self, host: str, port: int) -> Iterable[str]:
        self.asked += 1
        return [self.meanings.pop(0)]


def over_tls(
    folder: Path, script: Answer, names: Callable[[str, int], Iterable[str]], called: str
) -> tuple[Outcome, int]:
    server, client = tls_of("hooks.example.org", folder)
    guard = Guard(hosts_allowed=(called,), resolve=names)
    with receiving(script, tls=server, host=called) as receiver:
        sender = WebhookSender(guard=guard, tls=client)
        endpoint = Endpoint(id="e1", url=receiver.url, secrets=(SECRET,))
        return sender.send(endpoint, notice(), Allowance(WAIT_S)), receiver.heard


def test_the_connection_goes_to_the_address_that_was_judged(tmp_path: Path) -> None:
    names = Names("127.0.0.1", "10.0.0.1")
    found, heard = over_tls(tmp_path, status(200), names, "hooks.example.org")
    assert (found.fate, heard) == (Fate.SENT, 1)
    assert names.asked == 1


def test_a_name_that_means_our_network_at_the_redirect_is_refused(tmp_path: Path) -> None:
    """The first answer is public enough; at the second look the name leads inside."""
    server, client = tls_of("hooks.example.org", tmp_path)
    names = Names("127.0.0.1", "169.254.169.254")
    guard = Guard(private_addresses_allowed=True, resolve=names)
    with receiving(status(308, Location="/x"), tls=server, host="hooks.example.org") as receiver:
        endpoint = Endpoint(id="e1", url=receiver.url, secrets=(SECRET,))
        sender = WebhookSender(guard=guard, tls=client)
        found = sender.send(endpoint, notice(), Allowance(WAIT_S))
        assert receiver.heard == 1
    assert "may not be reached" in found.reason


def test_from_https_no_redirect_leads_to_http(tmp_path: Path) -> None:
    with receiving(status(200)) as plain:
        script = status(307, Location=plain.url)
        names = Names("127.0.0.1", "127.0.0.1")
        found, _ = over_tls(tmp_path, script, names, "hooks.example.org")
        assert found.reason == "it redirects from https to something else"
        assert plain.heard == 0


def test_a_certificate_for_another_name_is_not_believed(tmp_path: Path) -> None:
    names = Names("127.0.0.1")
    found, heard = over_tls(tmp_path, status(200), names, "other.example.org")
    assert found.reason == "its certificate is not trusted, or TLS failed"
    assert heard == 0


def test_the_second_address_is_tried_where_the_first_is_dead() -> None:
    with receiving(status(200), host="hooks.example.org") as receiver:
        guard = Guard(
            hosts_allowed=("hooks.example.org",),
            resolve=lambda host, port: ["127.0.0.2", "127.0.0.1"],
        )
        assert send(receiver.url, WAIT_S, guard).fate is Fate.SENT
