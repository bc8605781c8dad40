"""E-mail against a real server: what arrives, over what, and what is never handed over."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from controller.errors import RecipientError
from controller.notify.dialling import Allowance
from controller.notify.mail import Mailer, MailServer
from controller.notify.messages import Contact, Letterhead
from controller.notify.outcomes import Fate, Outcome
from controller.notify.tokens import read_opt_in, read_unsubscribe
from planner.model import NoticeKind
from tests.controller.notify.certificates import tls_of
from tests.controller.notify.mail_room import knows, mail_room
from tests.controller.notify.receiver import WAIT_S, notice

KEY = bytes(range(32))
NOW = 1790000000.0
ANNA = Contact(id="c-1", subscription_id="med", address="anna@example.org")
LETTERHEAD = Letterhead(
    sender="slackwater@example.org",
    confirm_url="https://data.example.org/contacts/confirm?token=",
    unsubscribe_url="https://data.example.org/contacts/unsubscribe?token=",
    token_key=KEY,
)


def mailer(port: int, scheme: str = "smtp", password: str = "", **more: object) -> Mailer:
    user = "slackwater@" if password else ""
    server = MailServer.of(f"{scheme}://{user}127.0.0.1:{port}", password)
    return Mailer(server=server, letterhead=LETTERHEAD, clock=lambda: NOW, **more)  # type: ignore[arg-type]


def test_a_notice_arrives_as_plain_text_with_a_way_out() -> None:
    with mail_room() as room:
        found = mailer(room.port).send(ANNA, notice(), Allowance(WAIT_S))
        assert found == Outcome(fate=Fate.SENT)
        message = room.next()
    assert message["Subject"] == "med-v1-u2 is delivered"
    assert message["To"] == "anna@example.org"
    assert message["From"] == "slackwater@example.org"
    assert message["Message-ID"] == "<med-v1-u2.c-1@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message.get_content_type() == "text/plain"
    text = message.get_content()
    assert "s3://ocean/med/med-v1-u2.nc" in text
    assert "delivered 90 s before its deadline" in text
    link = message["List-Unsubscribe"].strip("<>")
    assert link in text
    assert read_unsubscribe(KEY, link.partition("token=")[2]) == ANNA.asked


def test_an_address_is_asked_by_a_link_that_confirms_it() -> None:
    with mail_room() as room:
        mailer(room.port).ask(ANNA, "confirm:1790000000@c-1", Allowance(WAIT_S))
        message = room.next()
    (link,) = re.findall(r"https://\S+", message.get_content())
    assert link.startswith(LETTERHEAD.confirm_url)
    assert read_opt_in(KEY, link.partition("token=")[2], NOW + 60) == ANNA.asked
    assert "List-Unsubscribe" not in message


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_every_kind_of_notice_has_its_subject(kind: NoticeKind) -> None:
    message = LETTERHEAD.notice(ANNA, notice(kind=kind, delivered=None), NOW)
    assert message["Subject"].startswith("med-v1-u2 ")


@pytest.mark.parametrize("tls_first", [False, True])
def test_a_password_goes_over_tls(tmp_path: Path, tls_first: bool) -> None:
    server, client = tls_of("localhost", tmp_path)
    # Of TLS this server knows its own STARTTLS only when it asks for it before a login.
    asks = {"auth_require_tls": False} if tls_first else {"auth_required": True}
    with mail_room(tls=server, tls_first=tls_first, authenticator=knows, **asks) as room:
        scheme = "smtps" if tls_first else "smtp"
        url = f"{scheme}://slackwater@localhost:{room.port}"
        trusted = Mailer(
            server=MailServer.of(url, "open sesame"), letterhead=LETTERHEAD, tls=client
        )
        assert trusted.send(ANNA, notice(), Allowance(WAIT_S)).fate is Fate.SENT
        wrong = Mailer(server=MailServer.of(url, "knock"), letterhead=LETTERHEAD, tls=client)
        found = wrong.send(ANNA, notice(), Allowance(WAIT_S))
        assert (found.fate, found.reason) == (Fate.FAILED, "the mail server refused the login")
        stranger = Mailer(server=MailServer.of(url, "open sesame"), letterhead=LETTERHEAD)
        found = stranger.send(ANNA, notice(), Allowance(WAIT_S))
        assert "certificate is not trusted" in found.reason
        assert room.handed.qsize() == 1


def test_a_server_elsewhere_without_tls_is_handed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_room() as room:
        real = socket.create_connection

        def elsewhere(address: tuple[str, int], *args: object) -> socket.socket:
            return real(("127.0.0.1", address[1]), *args)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "create_connection", elsewhere)
        server = MailServer.of(f"smtp://slackwater@mail.example.org:{room.port}", "open sesame")
        found = Mailer(server=server, letterhead=LETTERHEAD).send(ANNA, notice(), Allowance(WAIT_S))
        assert found.fate is Fate.FAILED
        assert "no TLS" in found.reason
        assert room.handed.empty()


@pytest.mark.parametrize(
    ("answer", "fate"),
    [("450 greylisted, come again", Fate.FAILED), ("550 no such user", Fate.REFUSED)],
)
def test_an_address_that_is_not_there_is_told_from_one_that_is_busy(
    answer: str, fate: Fate
) -> None:
    with mail_room(answer) as room:
        found = mailer(room.port).send(ANNA, notice(), Allowance(WAIT_S))
    assert found == Outcome(
        fate=fate, reason=f"the mail server answered {answer[:3]} for the address"
    )


def test_a_server_that_hangs_is_left_in_time_and_at_once_when_cancelled() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        found = mailer(port).send(ANNA, notice(), Allowance(0.2))
        assert found == Outcome(fate=Fate.FAILED, reason="the mail server did not answer in time")
    assert mailer(port).send(ANNA, notice(), Allowance(0.2)).fate is Fate.FAILED


def test_no_header_is_smuggled_in() -> None:
    for address in ("anna@example.org\r\nBcc: eve@example.org", "anna@example.org\n"):
        eve = Contact(id="c-1", subscription_id="med", address=address)
        with pytest.raises(RecipientError):
            LETTERHEAD.notice(eve, notice(), NOW)
    with pytest.raises(ValueError, match="linefeed"):
        LETTERHEAD.notice(ANNA, notice("med\r\nBcc: eve@example.org-v1-u2"), NOW)


def test_what_a_notice_says_cannot_end_the_message() -> None:
    with mail_room() as room:
        hostile = notice(text="late\r\n.\r\nMAIL FROM:<eve@example.org>\r\n.")
        assert mailer(room.port).send(ANNA, hostile, Allowance(WAIT_S)).fate is Fate.SENT
        assert "MAIL FROM:<eve@example.org>" in room.next().get_content()
        assert room.handed.empty()


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org",
        "http://mail.example.org",
        "smtp://",
        "smtp://mail.example.org:x",
        "http://anna:secret@mail.example.org",
        "smtp://anna:secret@[mail.example.org",
        "smtp://mail.example.org/folder",
    ],
)
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(RecipientError) as caught:
        MailServer.of(url)
    assert "secret" not in str(caught.value)


def test_a_password_given_apart_is_the_one_that_counts() -> None:
    url = "smtp://anna:a%20b@mail.example.org"
    assert MailServer.of(url).password == "a b"
    assert MailServer.of(url, "c").password == "c"


def test_secrets_are_never_shown() -> None:
    server = MailServer.of("smtps://anna@mail.example.org", "open sesame")
    assert (server.port, server.user, server.tls_first) == (465, "anna", True)
    shown = repr(Mailer(server=server, letterhead=LETTERHEAD))
    assert "open sesame" not in shown
    assert repr(KEY) not in shown
