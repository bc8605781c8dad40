"""Where webhooks may lead, and where a hostile URL must not."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import pytest

from controller.errors import RecipientError
from controller.notify.guard import URL_CHARACTERS_MAX, Guard, is_inside_or_public, is_public

HOOK = "https://hooks.example.org/x"

PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14",
          "64:ff9b::5db8:d70e"]  # fmt: skip
INSIDE = ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "127.0.0.1", "::1",
          "127.8.8.8", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1"]  # fmt: skip
NOWHERE = ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "240.0.0.1",
           "169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254",
           "64:ff9b::a9fe:a9fe"]  # fmt: skip
TUNNELS = ["2002:7f00:1::1", "2001:0:5db8:d70e::1", "fec0::1", "::7f00:1", "192.0.0.8",
           "198.18.0.1", "192.0.2.1", "2001:db8::1"]  # fmt: skip


def guard(*addresses: str, **more: object) -> Guard:
    return Guard(resolve=lambda host, port: addresses, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert is_public(ip_address(address))
    assert guard(address).target(HOOK).addresses == (address,)


@pytest.mark.parametrize("address", [*INSIDE, *NOWHERE, *TUNNELS])
def test_all_others_may_not(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(RecipientError, match="may not be reached") as caught:
        guard(address).target(HOOK)
    assert address not in str(caught.value)


@pytest.mark.parametrize("address", [*INSIDE, *PUBLIC])
def test_operators_may_allow_private_addresses(address: str) -> None:
    assert guard(address, private_addresses_allowed=True).target(HOOK).addresses == (address,)


@pytest.mark.parametrize("address", NOWHERE)
def test_link_local_addresses_and_none_stay_refused(address: str) -> None:
    assert not is_inside_or_public(ip_address(address))
    with pytest.raises(RecipientError):
        guard(address, private_addresses_allowed=True).target(HOOK)


def test_one_forbidden_address_among_good_ones_refuses_the_name() -> None:
    with pytest.raises(RecipientError):
        guard(PUBLIC[0], "10.0.0.1").target(HOOK)


def test_a_listed_host_may_lie_anywhere_and_be_http() -> None:
    listed = guard("10.0.0.1", hosts_allowed=("Hooks.Example.ORG",))
    assert listed.target("http://hooks.example.org:8080/x").addresses == ("10.0.0.1",)
    with pytest.raises(RecipientError):
        listed.target("https://other.example.org/x")


def test_http_is_for_this_machine_only() -> None:
    allowed = guard("127.0.0.1", private_addresses_allowed=True)
    assert allowed.target("http://hooks.example.org/").port == 80
    for addresses in (("10.0.0.1",), (PUBLIC[0],)):
        with pytest.raises(RecipientError, match="http is refused"):
            guard(*addresses, private_addresses_allowed=True).target("http://hooks.example.org/")
    with pytest.raises(RecipientError, match="not https"):
        guard(PUBLIC[0]).check("http://hooks.example.org/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.org",
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "gopher://hooks.example.org/",
        "https://",
        "https:///x",
        "https://anna:secret@hooks.example.org/",
        "https://anna@hooks.example.org/",
        "https://hooks.example.org/#part",
        "https://hooks.example.org/ x",
        "https://hooks.example.org/\r\nX-Header: 1",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org:x/",
        "https://b\u00fccher.example/",
        "https://[::1",
        "https://hooks.example.org/" + "x" * URL_CHARACTERS_MAX,
    ],
)
def test_what_is_no_plain_https_url_is_refused(url: str) -> None:
    with pytest.raises(RecipientError) as caught:
        guard(PUBLIC[0]).check(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254", "10.0.0.1"]
)
def test_an_address_written_out_is_judged_at_once(host: str) -> None:
    with pytest.raises(RecipientError):
        guard().check(f"https://{host}/x")


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "017700000001", "127.1"])
def test_odd_spellings_of_this_machine_are_judged_by_what_they_mean(host: str) -> None:
    with pytest.raises(RecipientError):
        Guard().target(f"https://{host}/x")


def test_a_name_that_is_not_found_may_be_found_later() -> None:
    def nothing(host: str, port: int) -> Iterable[str]:
        raise OSError("no such host")

    with pytest.raises(RecipientError, match="not found") as caught:
        Guard(resolve=nothing).target(HOOK)
    assert caught.value.retry


def test_the_port_and_the_query_are_kept() -> None:
    target = guard(PUBLIC[0]).target("https://hooks.example.org:8443/a/b?c=d")
    assert (target.host, target.port, target.path) == ("hooks.example.org", 8443, b"/a/b?c=d")
    assert target.netloc == "hooks.example.org:8443"
